/**
 * Frames through NIC, state machine and queues, with a driver that costs next to nothing: ns per frame, and what
 * 10,000 of them allocate. `node --expose-gc --conditions=virtio-ts-source bench/net.ts [TEXT]`, with TypeScript
 * stripped by the Node in use, or compiled.
 */
import { getHeapStatistics } from "node:v8";
import { heapGrowth } from "@virtio-ts/virtio-queue/testing";
import { NicRig } from "../src/testing/index.ts";

const CASES = [
  { name: "60 bytes", frameBytes: 60, frames: 2000 },
  { name: "1514 bytes", frameBytes: 1514, frames: 2000 },
  { name: "64 KiB, receive buffers of 1536", frameBytes: 65535 + 14, frames: 200 },
  { name: "64 KiB, receive buffers of 4096", frameBytes: 65535 + 14, bufferBytes: 4096, frames: 200 },
];
const ROUNDS = 300;

const heap = { collect: () => globalThis.gc?.(), used: () => getHeapStatistics().used_heap_size };

function nsPerFrame(run: (frames: number) => void, frames: number): number {
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < ROUNDS; round++) {
    const start = process.hrtime.bigint();
    run(frames);
    best = Math.min(best, Number(process.hrtime.bigint() - start) / frames);
  }
  return best;
}

const wanted = process.argv[2] ?? "";
for (const options of CASES) {
  const rig = new NicRig(options);
  for (const way of ["transmit", "receive"] as const) {
    const name = `${way} ${options.name}`;
    if (!name.includes(wanted)) continue;
    const run = (frames: number): void => rig[way](frames);
    const ns = nsPerFrame(run, options.frames);
    const [first, second] = globalThis.gc === undefined ? ["?", "?"] : heapGrowth(run, heap);
    console.log(`${name.padEnd(45)}${ns.toFixed(1).padStart(9)} ns/frame   heap +${first}, +${second} bytes in 10,000`);
  }
}
