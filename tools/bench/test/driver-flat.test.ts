/**
 * What `pnpm bench driver` measures driver and NIC against does the same work: frames are copied, and none gets lost.
 * @module
 */

import { expect, test } from "vitest";
import { flatPackedNic } from "../src/driver/flat-packed.ts";
import { FlatPool } from "../src/driver/flat-pool.ts";
import { flatSplitNic } from "../src/driver/flat-split.ts";

const BYTES = 1500;

test.each([
  ["split", flatSplitNic],
  ["packed", flatPackedNic],
] as const)("frames cross flat %s rings", (_, flatNic) => {
  const pool = new FlatPool();
  const loop = flatNic(pool, BYTES);
  const frame = (buffer: number): Uint8Array => pool.region.u8.subarray(pool.start(buffer) + 12).subarray(0, BYTES);
  // The ring has the first 256 buffers to receive into; the next that are free are sent.
  for (let i = 0; i < 64; i++) frame(256 + i).fill(i + 1);
  loop(64);
  for (let i = 0; i < 64; i++) expect(frame(i)).toEqual(new Uint8Array(BYTES).fill(i + 1));
  expect([...pool.lengths.subarray(0, 64)]).toEqual(new Array(64).fill(BYTES));

  loop(64 * 1000);
  // Beside those that are free, the ring has 256 to receive into, and 64 were sent last.
  const free = Array.from({ length: 1024 - 256 - 64 }, () => pool.take());
  expect(new Set(free).size).toBe(704);
  expect(free.every((buffer) => buffer < 1024)).toBe(true);
});
