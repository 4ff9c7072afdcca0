/**
 * `pnpm bench alloc`: by how much the heap grows while 10,000 frames go through queue, device and transport in steady
 * state. The reading of the heap itself takes some hundred bytes, and V8's compiler some thousand now and then; an
 * object per frame would be 160,000 and more.
 *
 * @module
 */
import { getHeapStatistics, setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { NicRig, type NicRigOptions, type RigTransport } from "@virtio-ts/virtio-net/testing";
import { VirtioPciDevice } from "@virtio-ts/virtio-pci";
import { heapGrowth } from "@virtio-ts/virtio-queue/testing";
import type { Bench, Row } from "./bench.ts";

const FRAMES = 10_000;
const NOTIFY_OFFSET = 0x3000;
const NOTIFY_MULTIPLIER = 4;
const ISR_OFFSET = 0x1000;

/** The benchmark. */
export const allocBench: Bench = {
  name: "alloc",
  description: "bytes of heap that 10,000 frames take in queue, device and transport",
  columns: ["way", "frameBytes", "frames", "heapBytes"],
  run(progress, only): Promise<Row[]> {
    setFlagsFromString("--expose-gc");
    const heap = { collect: runInNewContext("gc") as () => void, used: () => getHeapStatistics().used_heap_size };
    const rows: Row[] = [];
    for (const frameBytes of [60, 1514]) {
      for (const way of ["transmit", "receive"] as const) {
        if (only !== undefined && !way.includes(only)) continue;
        progress(`${way} ${frameBytes} bytes`);
        const rig = new NicRig({ frameBytes, transport: overPci });
        const run = (frames: number): void => rig[way](frames);
        // Of several runs the least: a heap that shrank was collected in between, and tells nothing.
        const runs = [heapGrowth(run, heap, FRAMES), heapGrowth(run, heap, FRAMES)]
          .flat()
          .filter((bytes) => bytes >= 0);
        rows.push({ way, frameBytes, frames: FRAMES, heapBytes: Math.min(...runs) });
      }
    }
    return Promise.resolve(rows);
  },
};

/** Modern virtio-pci with its interrupt pin, which the driver acknowledges whenever it kicks. */
const overPci: NonNullable<NicRigOptions["transport"]> = (nic, machine): RigTransport => {
  const pci = new VirtioPciDevice(nic, { ...machine, interrupt: "intx" });
  pci.plug({ barMoved() {}, intx: { raise() {}, lower() {} }, msi: null });
  pci.configWrite(4, 2, 4); // bus master: it may reach memory
  const { block } = pci.bars[0];
  const kick = (queue: number): void => {
    block.write(NOTIFY_OFFSET + NOTIFY_MULTIPLIER * queue, 2, queue);
    block.read(ISR_OFFSET, 1);
  };
  return { core: pci.core, kick };
};
