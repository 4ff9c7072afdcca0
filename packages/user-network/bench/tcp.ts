/**
 * MB/s through a UserNetwork between a guest in this process and a real socket on the loopback, both ways, with
 * and without large segments. The guest is as thin as can be: what is measured is the network, and the kernel's
 * loopback; on a machine that does other things too, look at the time of CPU.
 *
 *     node bench/tcp.ts [seconds]
 *
 * @module
 */

import { createServer, type Server } from "node:net";
import {
  connect,
  FrameBurst,
  GSO_TCPV4,
  HDR_F_NEEDS_CSUM,
  type NetBackend,
  type NetPort,
  OFFLOAD_ALL,
} from "@virtio-ts/net-link";
import { UserNetwork } from "../src/index.ts";
import { nodeHostSockets } from "../src/node/index.ts";

const seconds = Number(process.argv[2] ?? 2);
const GUEST = 0x0a00020f;
const GATEWAY = 0x0a000202;
const MSS = 1460;
const LARGE = 44 * MSS;

/** The thinnest TCP that can fill a window, and acknowledge one. */
class ThinGuest implements NetBackend {
  readonly accepts: number;
  #peer: NetPort;
  readonly #burst = new FrameBurst();
  readonly #headers = new Uint8Array(64 * 64);
  readonly #view = new DataView(this.#headers.buffer);
  readonly #head = new Uint8Array(54);
  readonly #headView = new DataView(this.#head.buffer);
  readonly #payload = new Uint8Array(LARGE).fill(0x61);
  readonly #port: number;
  next = 1000;
  acknowledged = 1000;
  expected = 0;
  window = 0;
  open = false;
  received = 0;
  #ackDue = false;

  constructor(network: UserNetwork, accepts: number, port: number) {
    this.#peer = network;
    this.accepts = accepts;
    this.#port = port;
  }

  take(burst: FrameBurst, first: number): number {
    for (let i = first; i < burst.count; i++) {
      burst.copyFrame(i, 0, this.#head, 0, 54);
      const view = this.#headView;
      if (view.getUint16(12) !== 0x0800 || view.getUint8(23) !== 6) continue;
      const flags = view.getUint8(47);
      const length = view.getUint16(16) - 20 - (view.getUint8(46) >> 4) * 4;
      this.acknowledged = view.getInt32(42);
      this.window = view.getUint16(48);
      if ((flags & 2) !== 0) {
        this.expected = (view.getInt32(38) + 1) | 0;
        this.open = true;
        this.next = this.acknowledged;
        this.#ackDue = true;
      } else {
        this.window <<= 5;
        if (length > 0) {
          this.expected = (this.expected + length) | 0;
          this.received += length;
          this.#ackDue = true;
        }
      }
    }
    return burst.count;
  }

  resume(): void {}
  attach(peer: NetPort): void {
    this.#peer = peer;
  }
  detach(): void {}

  syn(): void {
    this.#frame(2, 0);
    this.#peer.take(this.#burst, 0);
    this.next++;
  }

  /** One burst: as many large segments as the window takes. */
  send(limit: number, size: number): number {
    this.#burst.clear();
    let sent = 0;
    while (this.#burst.count < limit) {
      const room = this.window - ((this.next - this.acknowledged) | 0);
      if (room < size) break;
      this.#frame(16, size);
      this.next = (this.next + size) | 0;
      sent += size;
    }
    if (sent > 0) this.#peer.take(this.#burst, 0);
    return sent;
  }

  ack(): void {
    if (!this.#ackDue) return;
    this.#ackDue = false;
    this.#burst.clear();
    this.#frame(16, 0);
    this.#peer.take(this.#burst, 0);
  }

  #frame(flags: number, length: number): void {
    const at = this.#burst.count * 64;
    const view = this.#view;
    const headers = this.#headers;
    headers.set([0x52, 0x55, 10, 0, 2, 2, 2, 0, 0, 0, 0, 1, 8, 0, 0x45, 0], at);
    const options = flags === 2 ? 8 : 0;
    view.setUint16(at + 16, 40 + options + length);
    view.setUint32(at + 18, 0x4000);
    view.setUint16(at + 22, 0x4006);
    view.setUint16(at + 24, 0);
    view.setUint32(at + 26, GUEST);
    view.setUint32(at + 30, GATEWAY);
    let sum = 0;
    for (let k = 14; k < 34; k += 2) sum += view.getUint16(at + k);
    sum = (sum & 0xffff) + (sum >>> 16);
    view.setUint16(at + 24, ~((sum & 0xffff) + (sum >>> 16)) & 0xffff);
    view.setUint16(at + 34, 50000);
    view.setUint16(at + 36, this.#port);
    view.setInt32(at + 38, this.next);
    view.setInt32(at + 42, this.expected);
    view.setUint8(at + 46, (20 + options) << 2);
    view.setUint8(at + 47, flags);
    view.setUint16(at + 48, 0xffff);
    if (options > 0) {
      view.setUint32(at + 54, 0x02040000 | MSS);
      view.setUint32(at + 58, 0x01030306);
    }
    this.#burst.addSegment(headers, at, 54 + options);
    if (length > 0) this.#burst.addSegment(this.#payload, 0, length);
    this.#burst.endFrame(HDR_F_NEEDS_CSUM, length > MSS ? GSO_TCPV4 : 0, 54, MSS, 34, 16);
  }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

async function run(name: string, accepts: number, up: boolean, size: number, linked = false): Promise<void> {
  let sunk = 0;
  const server: Server = createServer((socket) => {
    if (up) {
      socket.on("data", (chunk) => {
        sunk += chunk.length;
      });
    } else {
      const chunk = Buffer.alloc(0x4_0000, 0x62);
      const fill = (): void => {
        while (socket.write(chunk));
      };
      socket.on("drain", fill);
      fill();
    }
    socket.on("error", () => {});
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const network = new UserNetwork({ host: nodeHostSockets(), options: { hostLoopback: true } });
  const guest = new ThinGuest(network, accepts, port);
  if (linked) connect(guest, network);
  else network.attach(guest);
  guest.syn();
  while (!guest.open) await turn();
  guest.ack();

  const measure = async (ms: number): Promise<[perSecond: number, perCpuSecond: number]> => {
    const cpu = process.cpuUsage();
    const start = process.hrtime.bigint();
    const before = up ? sunk : guest.received;
    const end = start + BigInt(Math.round(ms * 1e6));
    while (process.hrtime.bigint() < end) {
      if (up) guest.send(8, size);
      else guest.ack();
      await turn();
    }
    const elapsed = Number(process.hrtime.bigint() - start) / 1e9;
    const { user, system } = process.cpuUsage(cpu);
    const megabytes = ((up ? sunk : guest.received) - before) / 1e6;
    return [megabytes / elapsed, megabytes / ((user + system) / 1e6)];
  };
  await measure(500);
  const [rate, perCpu] = await measure(seconds * 1000);
  console.log(
    `${name.padEnd(44)} ${rate.toFixed(0).padStart(6)} MB/s ${perCpu.toFixed(0).padStart(6)} MB per s of CPU`,
  );
  network.close();
  server.close();
}

await run("guest->host, 64 KiB segments", OFFLOAD_ALL, true, LARGE);
await run("guest->host, 1460 byte segments", OFFLOAD_ALL, true, MSS);
await run("host->guest, 64 KiB segments", OFFLOAD_ALL, false, 0);
await run("host->guest, 1460 byte segments, checksummed", 0, false, 0);
await run("the same, cut and checksummed by the link", 0, false, 0, true);
await run("host->guest, 1460 byte segments", 1, false, 0);
