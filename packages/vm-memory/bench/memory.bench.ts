/**
 * Cost of memory as queues and transports call it: once per burst, at set-up, or for the bytes of each buffer. Run with
 * `node packages/vm-memory/bench/memory.bench.ts` on a Node.js that strips types.
 * @module
 */

import { Copier, DirtyLog, GuestMemory, MemoryRegion } from "@virtio-ts/vm-memory";
import { bench, do_not_optimize, run } from "mitata";

const buffer = new ArrayBuffer(1 << 20);
const fixed = GuestMemory.of(new Uint8Array(buffer));
const view = new Uint8Array(buffer);
const moving = GuestMemory.of(() => view);
const many = new GuestMemory(Array.from({ length: 16 }, (_, i) => new MemoryRegion(i << 16, new Uint8Array(1 << 16))));
const log = new DirtyLog(1 << 20);
const copier = new Copier();
const frame = new Uint8Array(2048);

/** Copies out of 128 buffers of a ring, so that no buffer is used twice in a row. */
function copyRing(length: number): void {
  const region = fixed.regions[0];
  for (let i = 0; i < 128; i++) copier.out(region, 2048 * i, frame, 0, length);
}

bench("refresh, fixed bytes", () => fixed.refresh());
bench("refresh, a source", () => moving.refresh());
bench("locate, 1 region", () => do_not_optimize(fixed.locate(0x8000, 1514)));
bench("locate, 16 regions", () => do_not_optimize(many.locate(0x8_8000, 1514)));
bench("dirty log, a frame", () => log.written(0x8000, 1514));
for (const length of [16, 64, 1500]) bench(`copy ${length} bytes, 128 times`, () => copyRing(length));

await run();
