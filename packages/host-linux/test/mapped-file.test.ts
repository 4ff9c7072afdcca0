import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { type HostErrorCode, MappedFile } from "../src/index.ts";

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

test("a file that is longer keeps what lies behind, whatever length is asked for", () => {
  const path = join(folder, "ram");
  writeFileSync(path, new Uint8Array(8192).fill(5));
  const file = new MappedFile(path, 4096);
  file.bytes[4095] = 6;
  file.release();
  for (const length of [0, -1]) expect(() => new MappedFile(path, length)).toThrow();
  expect([...readFileSync(path).subarray(4095)]).toEqual([6, ...new Array(4096).fill(5)]);
});

test("bytes of a released file can be touched, and reach nobody", () => {
  const path = join(folder, "ram");
  const file = new MappedFile(path, 4096);
  file.bytes[0] = 7;
  file.release();
  expect(file.bytes[0]).toBe(0);
  file.bytes[0] = 9;
  expect(readFileSync(path)[0]).toBe(7);
});

test("a second release leaves alone what was written since the first", () => {
  const file = new MappedFile(join(folder, "ram"), 4096);
  file.release();
  file.bytes[0] = 9;
  file.release();
  expect(file.bytes[0]).toBe(9);
});

test("the file is not kept open, mapped or not", () => {
  const open = (): readonly string[] => readdirSync("/proc/self/fd");
  const path = join(folder, "ram");
  new MappedFile(path, 4096).release(); // the first one loads the library
  const before = open().length;
  const files = Array.from({ length: 8 }, () => new MappedFile(path, 4096));
  for (let i = 0; i < 8; i++) expect(() => new MappedFile(path, 0)).toThrow();
  expect(open().length).toBe(before);
  for (const file of files) file.release();
});

test.each<[string, string, number, { code: HostErrorCode; cause?: unknown }]>([
  ["a folder that is not there", "nowhere/ram", 4096, { code: "file", cause: systemError("ENOENT") }],
  ["a device, which has no length", "/dev/null", 4096, { code: "file", cause: systemError("EINVAL") }],
  ["no length", "ram", 0, { code: "map-failed" }],
  ["a negative length", "ram", -1, { code: "map-failed" }],
])("%s is refused with an error that says so, and why", (_, name, length, error) => {
  expect(() => new MappedFile(resolve(folder, name), length)).toThrow(
    expect.objectContaining({ name: "HostError", ...error }),
  );
});

function systemError(code: string): unknown {
  return expect.objectContaining({ code });
}

test("where there is no GNU C library, the error says so, and why", async () => {
  const cause = new Error("libc.so.6: cannot open shared object file");
  vi.resetModules();
  vi.doMock("koffi", () => ({
    default: {
      load() {
        throw cause;
      },
    },
  }));
  try {
    const elsewhere = await import("../src/index.ts");
    expect(() => new elsewhere.MappedFile(join(folder, "ram"), 4096)).toThrow(
      expect.objectContaining({ name: "HostError", code: "no-libc", cause }),
    );
  } finally {
    vi.doUnmock("koffi");
    vi.resetModules();
  }
});
