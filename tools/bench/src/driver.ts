/**
 * `pnpm bench driver`: the NIC driver on the NIC, in one process and with no bus between them. Each frame goes out by
 * driver, transmit queue and device, and comes back in by device, receive queue and driver, into a buffer of the
 * caller's; it counts once. Several queues are as many NICs, for a NIC has one pair of them.
 *
 * @module
 */
import { feature, VIRTIO_F_RING_PACKED } from "@virtio-ts/virtio-bindings";
import { DEFAULT_RING_FEATURES } from "@virtio-ts/virtio-device";
import { ProcessHost } from "@virtio-ts/virtio-driver";
import { NetDevice } from "@virtio-ts/virtio-net/device";
import { DirectTransport, DriverRig } from "@virtio-ts/virtio-net/testing";
import { GuestMemory } from "@virtio-ts/vm-memory";
import type { Bench, Row } from "./bench.ts";
import { cpuShare } from "./cpu-share.ts";

const RINGS = { split: DEFAULT_RING_FEATURES, packed: DEFAULT_RING_FEATURES | feature(VIRTIO_F_RING_PACKED) };
const PARTS = ["queue", "device", "driver", "copy"] as const;
/** Frames of a round, of all NICs together: the fastest round counts, for on a busy machine others are not ours alone. */
const ROUND = 12_800;
const TIMED_MS = 1500;
const PROFILED_MS = 1000;
const MEMORY = 4 << 20;

/** The benchmark. */
export const driverBench: Bench = {
  name: "driver",
  description: "NIC driver on NIC in one process, each frame out and in again; share of time in percent",
  columns: ["ring", "bytes", "queues", "mpps", "gbitPerSecond", "share"],
  async run(progress, only): Promise<Row[]> {
    const rows: Row[] = [];
    for (const [ring, ringFeatures] of Object.entries(RINGS)) {
      for (const bytes of [64, 1500]) {
        for (const queues of [1, 4]) {
          const name = `${ring}, ${bytes} bytes, ${queues === 1 ? "1 queue" : `${queues} queues`}`;
          if (only !== undefined && !name.includes(only)) continue;
          progress(name);
          rows.push({ ring, bytes, queues, ...(await measure(ringFeatures, bytes, queues)) });
        }
      }
    }
    return rows;
  },
};

async function measure(ringFeatures: bigint, bytes: number, queues: number): Promise<Row> {
  const rigs = await Promise.all(Array.from({ length: queues }, () => setUp(ringFeatures)));
  const round = (): void => {
    for (const rig of rigs) rig.loop(ROUND / queues, bytes);
  };
  const ns = fastest(round) / ROUND;
  const shares = await cpuShare(() => void fastest(round, PROFILED_MS), partOf);
  const share = Object.fromEntries(PARTS.map((part) => [part, Math.round(shares.get(part) ?? 0)]));
  return { mpps: rounded(1000 / ns), gbitPerSecond: rounded((8 * bytes) / ns), share };
}

async function setUp(ringFeatures: bigint): Promise<DriverRig> {
  const memory = GuestMemory.of(new Uint8Array(MEMORY));
  const nic = new NetDevice();
  nic.attach(nic);
  const transport = new DirectTransport(nic, { memory, scheduler: { defer: (task) => task() }, ringFeatures });
  return new DriverRig(transport, new ProcessHost(memory)).start();
}

/** Runs rounds for a while. @returns ns of the fastest */
function fastest(round: () => void, ms = TIMED_MS): number {
  let least = Number.POSITIVE_INFINITY;
  for (const end = performance.now() + ms; performance.now() < end; ) {
    const start = process.hrtime.bigint();
    round();
    least = Math.min(least, Number(process.hrtime.bigint() - start));
  }
  return least;
}

/** Where a file belongs. Whoever uses the driver, and counts as a part of it here, is `testing/`. */
function partOf(url: string): (typeof PARTS)[number] | undefined {
  if (url.includes("/copier.")) return "copy";
  if (/\/(virtio-queue|vm-memory)\//.test(url)) return "queue";
  if (/\/(virtio-driver|virtio-net\/(dist|src)\/(driver|testing))\//.test(url)) return "driver";
  return /\/(virtio-device|virtio-net|net-link)\//.test(url) ? "device" : undefined;
}

function rounded(value: number): number {
  return Math.round(value * 100) / 100;
}
