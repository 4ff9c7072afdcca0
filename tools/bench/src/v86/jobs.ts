/**
 * The jobs every NIC of the bed has to do.
 *
 * @module
 */
import { type Guest, ping, pktgen } from "@virtio-ts/guest";
import type { Contestant } from "./bed.ts";
import { Peer } from "./peer.ts";

/** One job: what it is called, what it measures, and how it is done once. */
export interface Job {
  readonly name: string;
  readonly unit: string;
  /** @returns the rate, more being better */
  run(guest: Guest, nic: Contestant): Promise<number>;
}

const EXEC = { timeoutMs: 180_000 };
/** Long enough that starting the programs in the guest, about 50 ms, does not count. */
const TRANSFER_BYTES = 256 * 2 ** 20;
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

/**
 * busybox's own copying is by 4 KiB, two system calls each, and would be what is measured; `nc -e` leaves the socket to
 * `dd`.
 */
const BLOCK = 0x4_0000;

async function upload(guest: Guest, { name, gateway }: Contestant): Promise<number> {
  const port = await peer().sink();
  const begin = performance.now();
  await guest.run(`nc ${gateway} ${port} -e dd if=/dev/zero bs=${BLOCK} count=${TRANSFER_BYTES / BLOCK}`, EXEC);
  const bytes = await peer().sunk();
  if (bytes !== TRANSFER_BYTES) throw new Error(`${bytes} of ${TRANSFER_BYTES} bytes came from ${name}`);
  return bytes / 1000 / (performance.now() - begin);
}

async function download(guest: Guest, { gateway }: Contestant): Promise<number> {
  const port = await peer().serve(TRANSFER_BYTES);
  const begin = performance.now();
  await guest.run(`nc ${gateway} ${port} -e dd of=/dev/null bs=${BLOCK}`, EXEC);
  return TRANSFER_BYTES / 1000 / (performance.now() - begin);
}

let thread: Peer | undefined;

/** The other end, started when the first transfer needs it. */
function peer(): Peer {
  thread ??= new Peer();
  return thread;
}
