import { expect, test } from "vitest";
import { type AccessWidth, lowBytes } from "../src/index.ts";

test.each<[AccessWidth, number, number]>([
  [1, 0x1234_56ff, 0xff],
  [2, 0x1234_ff56, 0xff56],
  [4, 0xff34_5678, 0xff34_5678],
  [1, -1, 0xff],
  [2, -1, 0xffff],
  [4, -1, 0xffff_ffff],
  [4, 2 ** 32 + 5, 5],
])("an access of %i bytes carries of %i the unsigned number %i", (width, value, carried) => {
  expect(lowBytes(value, width)).toBe(carried);
});
