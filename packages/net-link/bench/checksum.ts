/** The internet checksum by length and alignment, beside the plain ways to do it. */
import { bench, run, summary } from "mitata";
import { checksumAdd, checksumFold } from "../src/index.ts";

// Random bytes: over zeros the engine would bet on small integers, and be fast for the wrong reason.
const memory = new Uint8Array(1 << 20).map(() => Math.random() * 256);
const view = new DataView(memory.buffer);
let sink = 0;

function byDataView(offset: number, length: number): number {
  let sum = 0;
  for (let at = offset; at < offset + length; at += 2) sum += view.getUint16(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

for (const length of [20, 60, 64, 256, 1500, 65536]) {
  summary(() => {
    bench(`checksumAdd, ${length} bytes`, () => {
      sink += checksumFold(checksumAdd(0, memory, 4098, length));
    });
    bench(`checksumAdd from an odd address, ${length} bytes`, () => {
      sink += checksumFold(checksumAdd(0, memory, 4097, length));
    });
    bench(`DataView, ${length} bytes`, () => {
      sink += byDataView(4098, length);
    });
  });
}

// What finding the words of a buffer costs.
const cache = new WeakMap([[memory.buffer as ArrayBufferLike, new Uint32Array(memory.buffer)]]);
const last = new WeakRef(new Uint32Array(memory.buffer));
summary(() => {
  bench("words: WeakMap", () => {
    sink += cache.get(memory.buffer)!.length;
  });
  bench("words: WeakRef to the last", () => {
    sink += last.deref()!.buffer === memory.buffer ? 1 : 0;
  });
  bench("words: a new view", () => {
    sink += new Uint32Array(memory.buffer, 0, 1000).length;
  });
});

await run();
if (sink < 0) throw new Error("unreachable");
