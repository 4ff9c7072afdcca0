/**
 * What the demo is made of: a guest with our NIC in it, the user-mode network behind that, a record of the frames, and
 * an HTTP server of the host. The network is up when a session begins, and nothing of it is left when it is closed.
 *
 * @module
 */
import { Capture, type CaptureOptions } from "@virtio-ts/net-link";
import { pcapngFile } from "@virtio-ts/net-link/node";
import { UserNetwork } from "@virtio-ts/user-network";
import { nodeHostSockets } from "@virtio-ts/user-network/node";
import { addNic, MMIO_NIC_ADDRESS, MMIO_NIC_LINE, type Nic } from "@virtio-ts/vmm-v86";
import { type AssetOptions, resolveAssets } from "../assets.ts";
import { bootGuest } from "../boot.ts";
import type { Guest } from "../guest.ts";
import { mmioTable } from "../mmio-table.ts";
import { bringUpNetwork, interfaces, type Lease } from "../net.ts";
import { BlobServer } from "./blob-server.ts";
import type { NicChoice } from "./nic-choice.ts";
import type { Progress } from "./progress.ts";

/** The host, as the guest knows it: a name that only our name server knows, and the gateway's address. */
export const HOST_NAME = "host.virtio-ts.test";
export const GATEWAY = "10.0.2.2";

/** How a {@link Session} is started. */
export interface SessionOptions {
  /** How the NIC is plugged in. */
  readonly nic: NicChoice;
  /** Where kernel, initramfs and BIOS come from. */
  readonly assets?: AssetOptions;
  /** Size of what the HTTP server offers. */
  readonly bytes: number;
  /** Where frames are recorded, and how. */
  readonly capture: { readonly path: string } & Omit<CaptureOptions, "sink">;
  /** Told what is being done. */
  readonly progress?: Progress;
  /** Ends the start, and later the session: the guest is stopped then, and with it all that waits for it. */
  readonly signal?: AbortSignal;
}

/** A guest whose network is up. */
export interface Session {
  readonly guest: Guest;
  readonly nic: Nic;
  readonly network: UserNetwork;
  readonly server: BlobServer;
  readonly capture: Capture;
  /** What the guest calls the NIC. */
  readonly ifname: string;
  readonly lease: Lease;
  /** From the beginning of {@link startSession} to a guest that takes commands, ms. */
  readonly bootMs: number;
  /** Ends everything: guest, network, server, capture. Can be called twice. */
  close(): Promise<void>;
}

/**
 * Starts a session.
 *
 * @throws GuestError; what the system says about the capture file; Error when Linux found no NIC
 */
export async function startSession(options: SessionOptions): Promise<Session> {
  const { nic: choice, progress, signal } = options;
  const acpi = needsAcpi(choice);
  const begin = performance.now();
  const cleanup = new Cleanup();
  try {
    // First of all, and before any other step is told: without a kernel there is nothing to tell.
    const assets = await resolveAssets({ ...options.assets, signal, onProgress: (message) => progress?.step(message) });
    const file = pcapngFile(options.capture.path);
    cleanup.add(() => file.close());
    const server = await BlobServer.start(options.bytes);
    cleanup.add(() => server.close());
    const network = makeNetwork(server.port);
    cleanup.add(() => network.close());
    const capture = new Capture(network, { ...options.capture, sink: file.sink });
    cleanup.add(() => capture.close());

    progress?.step("start the guest");
    let nic: Nic | undefined;
    const guest = await bootGuest({
      ...options.assets,
      assets,
      signal,
      acpi,
      // Whether there is a device where it says is looked at when its driver is loaded: one snapshot does for all.
      acpiTables: acpi ? [mmioTable([{ address: MMIO_NIC_ADDRESS, gsi: MMIO_NIC_LINE }])] : [],
      onProgress: (message) => progress?.step(message),
      attach: (emulator) => {
        nic = addNic(emulator, { ...choice, backend: capture });
      },
    });
    const stop = (): void => void guest.stop();
    signal?.addEventListener("abort", stop, { once: true });
    cleanup.add(async () => {
      signal?.removeEventListener("abort", stop);
      await guest.stop();
    });
    if (nic === undefined) throw new Error("the guest was started without its NIC");
    const bootMs = performance.now() - begin;
    progress?.done(`Linux ${guest.kernelVersion}`);

    if ("mmio" in nic) await guest.loadModules("virtio_mmio");
    const ifname = await nameOfNic(guest);
    progress?.step(`DHCP on ${ifname}`);
    const lease = await bringUpNetwork(guest, ifname);
    progress?.done(lease.address);
    return { guest, nic, network, server, capture, ifname, lease, bootMs, close: () => cleanup.run() };
  } catch (error) {
    await cleanup.run();
    throw error;
  }
}

/** MSI-X is a message to a local APIC; a device of virtio-mmio is announced by a table. */
function needsAcpi(nic: NicChoice): boolean {
  return !("interrupt" in nic) || nic.interrupt === "msix";
}

/** The guest reaches the demo's own server on the loopback, and nothing else of this machine. */
function makeNetwork(serverPort: number): UserNetwork {
  return new UserNetwork({
    host: nodeHostSockets(),
    options: {
      hostLoopback: true,
      names: { [HOST_NAME]: GATEWAY },
      allow: (protocol, address, port) => address !== "127.0.0.1" || (protocol === "tcp" && port === serverPort),
    },
  });
}

async function nameOfNic(guest: Guest): Promise<string> {
  const found = (await interfaces(guest)).find(({ driver }) => driver === "virtio_net");
  if (found === undefined) throw new Error("the guest's virtio_net driver found no device");
  return found.name;
}

/** What is to be ended, last begun first. */
class Cleanup {
  readonly #steps: (() => void | Promise<void>)[] = [];

  add(step: () => void | Promise<void>): void {
    this.#steps.push(step);
  }

  async run(): Promise<void> {
    for (let step = this.#steps.pop(); step !== undefined; step = this.#steps.pop()) await step();
  }
}
