/**
 * One run of the demo: a guest, our NIC in it, the user-mode network behind that, and what they do together.
 *
 * @module
 */
import { Capture, UserNetwork } from "@virtio-ts/net-backends";
import { nodeHostSockets, pcapngFile } from "@virtio-ts/net-backends/node";
import { addNic, type Nic } from "@virtio-ts/vmm-v86";
import { bootGuest } from "../boot.ts";
import { features } from "../driver-view.ts";
import type { Guest } from "../guest.ts";
import { bringUpNetwork, interfaces, type Lease, ping, resolve } from "../net.ts";
import { runShell } from "../terminal.ts";
import { download, serveFile, stopServing } from "../transfer.ts";
import { BlobServer } from "./blob-server.ts";
import { fetchAll } from "./fetch.ts";
import type { DemoOptions } from "./options.ts";
import type { Progress } from "./progress.ts";
import type { DemoReport, TransferReport } from "./report.ts";

/** A name that only our name server knows. */
const NAME = "host.virtio-ts.test";
const GATEWAY = "10.0.2.2";
/** Small frames are recorded whole; of a large segment its beginning. */
const SNAP_LENGTH = 1514;
/** The guest hashes about 13 MiB a second, and fetches not much more on a busy machine. */
const TRANSFER_TIMEOUT_MS = 600_000;

/** A guest with its network, up. */
class Session {
  readonly #options: DemoOptions;
  readonly #progress: Progress;
  readonly #begin = performance.now();
  readonly guest: Guest;
  readonly nic: Nic;
  readonly network: UserNetwork;
  readonly server: BlobServer;
  readonly serverPort: number;
  /** Aborted when the guest is gone. */
  readonly gone = new AbortController();

  constructor(
    options: DemoOptions,
    progress: Progress,
    parts: { guest: Guest; nic: Nic; network: UserNetwork; server: BlobServer; serverPort: number; begin: number },
  ) {
    this.#options = options;
    this.#progress = progress;
    this.#begin = parts.begin;
    this.guest = parts.guest;
    this.nic = parts.nic;
    this.network = parts.network;
    this.server = parts.server;
    this.serverPort = parts.serverPort;
    void this.guest.gone.then((error) => this.gone.abort(error));
  }

  /** Everything the demo shows, in order. */
  async run(bootMs: number): Promise<DemoReport> {
    const { guest, nic } = this;
    const ifname = await this.#findInterface();
    this.#progress.step(`DHCP on ${ifname}`);
    const lease = await bringUpNetwork(guest, ifname);
    this.#progress.done(lease.address);
    const driver = await features(guest, ifname);
    this.#progress.step("first ping");
    await ping(guest, GATEWAY, { count: 1 });
    const firstPingMs = performance.now() - this.#begin;
    this.#progress.step(`${this.#options.pings} pings`);
    const pings = await ping(guest, GATEWAY, { count: this.#options.pings, adaptive: true, timeoutMs: TRANSFER_TIMEOUT_MS });
    this.#progress.done(`${pings.received} answers`);
    this.#progress.step(`resolve ${NAME}`);
    const addresses = await resolve(guest, NAME);
    this.#progress.done(addresses.join(" "));
    const down = await this.#download();
    const up = await this.#upload(lease);
    const { tx, rx, dropped } = nic.device.counters;
    return {
      kernel: guest.kernelVersion,
      transport: this.#options.transport,
      interrupt: driver.interruptMode === "msi" ? "msix" : driver.interruptMode === "line" ? "intx" : "none",
      interruptLines: driver.interrupts.map(({ irq, chip, users }) => `${irq} ${chip} ${users.join("+")}`),
      features: driver.features,
      lease,
      resolved: { name: NAME, addresses },
      ping: pings,
      download: down,
      upload: up,
      tx: { ...tx },
      rx: { ...rx },
      dropped: Object.values(dropped).reduce((sum, n) => sum + n, 0),
      bootMs,
      firstPingMs,
      capture: this.#options.capture,
    };
  }

  /** The network is up, the terminal is the user's. */
  async shell(): Promise<void> {
    const ifname = await this.#findInterface();
    this.#progress.step(`DHCP on ${ifname}`);
    const lease = await bringUpNetwork(this.guest, ifname);
    this.#progress.done(lease.address);
    process.stderr.write(`  the host is ${GATEWAY}, try: wget -O /dev/null http://${NAME}:${this.serverPort}/blob; leave with exit\n`);
    await runShell(this.guest);
  }

  async #findInterface(): Promise<string> {
    const found = (await interfaces(this.guest)).find(({ driver }) => driver === "virtio_net");
    if (found === undefined) throw new Error("the guest's virtio_net driver found no device");
    return found.name;
  }

  async #download(): Promise<TransferReport> {
    const { bytes } = this.#options;
    this.#progress.step(`download ${bytes / 2 ** 20} MiB`);
    const url = `http://${NAME}:${this.serverPort}/blob`;
    const got = await download(this.guest, url, { timeoutMs: TRANSFER_TIMEOUT_MS });
    const report = { bytes: got.bytes, sha256ok: got.digest === this.server.sha256, mbPerSecond: rate(got.bytes, got.seconds) };
    this.#progress.done(`${report.mbPerSecond} MB/s`);
    return report;
  }

  async #upload(lease: Lease): Promise<TransferReport> {
    const { bytes } = this.#options;
    this.#progress.step(`upload ${bytes / 2 ** 20} MiB`);
    const file = await serveFile(this.guest, bytes, { timeoutMs: TRANSFER_TIMEOUT_MS });
    const forward = await this.network.forward({
      protocol: "tcp",
      hostPort: 0,
      guestAddress: lease.address,
      guestPort: file.port,
    });
    const got = await fetchAll(`http://127.0.0.1:${forward.hostPort}${file.path}`, this.gone.signal);
    await stopServing(this.guest);
    const report = { bytes: got.bytes, sha256ok: got.sha256 === file.digest, mbPerSecond: rate(got.bytes, got.seconds) };
    this.#progress.done(`${report.mbPerSecond} MB/s`);
    return report;
  }
}

/** How the demo ended: with a report, or without one after `--shell`. */
export async function runDemo(options: DemoOptions, progress: Progress, signal: AbortSignal): Promise<DemoReport | null> {
  const begin = performance.now();
  const server = new BlobServer(options.bytes);
  const serverPort = await server.listen();
  const network = new UserNetwork({
    host: nodeHostSockets(),
    options: {
      hostLoopback: true,
      names: { [NAME]: GATEWAY },
      // The guest reaches this demo's own server on the loopback, and nothing else of this machine.
      allow: (protocol, address, port) => address !== "127.0.0.1" || (protocol === "tcp" && port === serverPort),
    },
  });
  const file = pcapngFile(options.capture);
  const capture = new Capture(network, { sink: file.sink, snapLength: SNAP_LENGTH });
  let nic: Nic | undefined;
  let guest: Guest | undefined;
  try {
    progress.step("start the guest");
    guest = await bootGuest({
      ...options.assets,
      signal,
      acpi: options.interrupt === "msix",
      onProgress: (message) => progress.step(message),
      attach: (emulator) => {
        nic = addNic(emulator as never, { backend: capture, transport: options.transport, interrupt: options.interrupt });
      },
    });
    if (nic === undefined) throw new Error("the guest started without its NIC");
    const bootMs = performance.now() - begin;
    progress.done(`Linux ${guest.kernelVersion}`);
    const stop = (): void => void guest?.stop();
    signal.addEventListener("abort", stop, { once: true });
    const session = new Session(options, progress, { guest, nic, network, server, serverPort, begin });
    if (!options.shell) return await session.run(bootMs);
    await session.shell();
    return null;
  } finally {
    await guest?.stop();
    network.close();
    await server.close();
    capture.close();
    file.close();
  }
}

/** MB/s, to one place. */
function rate(bytes: number, seconds: number): number {
  return Math.round(bytes / seconds / 1e5) / 10;
}
