/**
 * The jobs every NIC of the bed has to do.
 *
 * @module
 */
import { get } from "node:http";
import type { AddressInfo } from "node:net";
import { createServer, type Server } from "node:net";
import { drain, type Guest, ping, pktgen, type ServedFile, serveFile } from "@virtio-ts/guest";
import type { Contestant } from "./bed.ts";

/** One job: what it is called, what it measures, and how it is done once. */
export interface Job {
  readonly name: string;
  readonly unit: string;
  /** @returns the rate, more being better */
  run(guest: Guest, nic: Contestant): Promise<number>;
}

const EXEC = { timeoutMs: 180_000 };
const TRANSFER_BYTES = 64 * 2 ** 20;
const PINGS = 2000;
const PACKETS = 100_000;

/** All of them, in the order they are done. */
export const JOBS: readonly Job[] = [
  { name: "ping -A", unit: "per s", run: pings },
  { name: "pktgen 60", unit: "packets/s", run: (guest, nic) => generate(guest, nic, 60) },
  { name: "pktgen 1514", unit: "packets/s", run: (guest, nic) => generate(guest, nic, 1514) },
  { name: "rx flood 60", unit: "packets/s", run: (_guest, nic) => flood(nic, 60) },
  { name: "rx flood 1514", unit: "packets/s", run: (_guest, nic) => flood(nic, 1514) },
  { name: "tcp guest to host", unit: "MB/s", run: upload },
  { name: "tcp host to guest", unit: "MB/s", run: download },
];

async function pings(guest: Guest, { gateway }: Contestant): Promise<number> {
  const begin = performance.now();
  const { received } = await ping(guest, gateway, { count: PINGS, adaptive: true, ...EXEC });
  if (received < PINGS) throw new Error(`${PINGS - received} of ${PINGS} pings to ${gateway} were lost`);
  return (received * 1000) / (performance.now() - begin);
}

async function generate(guest: Guest, nic: Contestant, size: number): Promise<number> {
  nic.valve.sink = true;
  nic.valve.swallowed = 0;
  try {
    const { packetsPerSecond, sent } = await pktgen(guest, nic.ifname, { count: PACKETS, size, ...EXEC });
    if (nic.valve.swallowed < sent)
      throw new Error(`of ${sent} packets ${nic.valve.swallowed} came out of ${nic.name}`);
    return packetsPerSecond;
  } finally {
    nic.valve.sink = false;
  }
}

async function flood(nic: Contestant, size: number): Promise<number> {
  // An EtherType that nobody listens to (IEEE 802, local experiments): the kernel counts the frame and drops it.
  const frame = new Uint8Array(size);
  frame.fill(0xff, 0, 6);
  frame.set([0x52, 0x54, 0, 1, 1, 1, 0x88, 0xb5], 6);
  return PACKETS / (await nic.valve.flood(frame, PACKETS));
}

/** What each guest serves: made once, for it takes the guest seconds. */
const served = new WeakMap<Guest, Promise<ServedFile>>();

function serve(guest: Guest): Promise<ServedFile> {
  const file = served.get(guest) ?? serveFile(guest, TRANSFER_BYTES, { digest: "md5", ...EXEC });
  served.set(guest, file);
  return file;
}

async function upload(guest: Guest, nic: Contestant): Promise<number> {
  const file = await serve(guest);
  const { hostPort, close } = await nic.network.forward({
    protocol: "tcp",
    hostPort: 0,
    guestAddress: nic.address,
    guestPort: file.port,
  });
  try {
    const begin = performance.now();
    const bytes = await count(`http://127.0.0.1:${hostPort}${file.path}`);
    if (bytes !== TRANSFER_BYTES) throw new Error(`${bytes} of ${TRANSFER_BYTES} bytes came from ${nic.name}`);
    return bytes / 1000 / (performance.now() - begin);
  } finally {
    close();
  }
}

async function download(guest: Guest, nic: Contestant): Promise<number> {
  const blob = Buffer.alloc(TRANSFER_BYTES, 0x5a);
  const server = createServer((socket) => {
    socket.on("error", () => {});
    socket.end(blob);
  });
  const port = await listen(server);
  try {
    return TRANSFER_BYTES / 1e6 / (await drain(guest, nic.gateway, port, EXEC));
  } finally {
    server.close();
  }
}

function count(url: string): Promise<number> {
  return new Promise((resolve, reject) => {
    get(url, { agent: false }, (response) => {
      let bytes = 0;
      response.on("data", (chunk: Buffer) => {
        bytes += chunk.length;
      });
      response.on("end", () => resolve(bytes));
      response.on("error", reject);
    }).on("error", reject);
  });
}

async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return (server.address() as AddressInfo).port;
}
