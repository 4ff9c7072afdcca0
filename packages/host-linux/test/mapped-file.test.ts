import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { HostError, MappedFile } from "../src/index.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "mapped-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

test("what one mapping of a file writes, another mapping and the file have", () => {
  const path = join(folder, "ram");
  const one = new MappedFile(path, 8192);
  const two = new MappedFile(path, 8192);
  expect(one.bytes.length).toBe(8192);
  one.bytes.set([1, 2, 3], 8189);
  Atomics.store(new Uint32Array(one.bytes.buffer), 1, 0xdecafbad);
  expect([...two.bytes.subarray(8189)]).toEqual([1, 2, 3]);
  expect(readFileSync(path).readUInt32LE(4)).toBe(0xdecafbad);
  one.release();
  two.release();
});

test("a file that is there keeps its bytes", () => {
  const path = join(folder, "ram");
  writeFileSync(path, "virtio");
  const file = new MappedFile(path, 4096);
  expect(new TextDecoder().decode(file.bytes.slice(0, 6))).toBe("virtio");
  file.release();
});

test("bytes of a released file can be touched, and reach nobody", () => {
  const path = join(folder, "ram");
  const file = new MappedFile(path, 4096);
  file.bytes[0] = 7;
  file.release();
  file.release();
  expect(file.bytes[0]).toBe(0);
  file.bytes[0] = 9;
  expect(readFileSync(path)[0]).toBe(7);
});

test.each([
  ["a folder that is not there", "nowhere/ram", 4096],
  ["no length", "ram", 0],
  ["a negative length", "ram", -1],
])("%s is refused with an error that says so", (_, name, length) => {
  expect(() => new MappedFile(join(folder, name), length)).toThrow(HostError);
});
