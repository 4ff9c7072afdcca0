/**
 * Measures how much frames allocate, in a process of its own: `node sample-main.js transmit|receive FRAME_BYTES BOUND`
 * prints bytes for 20,000 frames, of the first try below the bound.
 * @module
 */
import { getHeapStatistics, setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { NicRig, type NicRigOptions, type RigTransport } from "@virtio-ts/virtio-net/testing";
import { VirtioPciDevice } from "@virtio-ts/virtio-pci";
import { leastGrowth } from "@virtio-ts/virtio-queue/testing";

const NOTIFY_OFFSET = 0x3000;
const NOTIFY_MULTIPLIER = 4;
const ISR_OFFSET = 0x1000;

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

setFlagsFromString("--expose-gc");
const heap = { collect: runInNewContext("gc") as () => void, used: () => getHeapStatistics().used_heap_size };
const [way, frameBytes, bound] = process.argv.slice(2);
const rig = new NicRig({ frameBytes: Number(frameBytes), transport: overPci });
const run = (frames: number): void => rig[way as "transmit" | "receive"](frames);
console.log(leastGrowth(run, heap, Number(bound)));
