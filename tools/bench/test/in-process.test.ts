/**
 * Measurements in processes of their own.
 * @module
 */

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, expect, test } from "vitest";
import { leastOf, numberFrom } from "../src/in-process.ts";

const folder = mkdtempSync(join(tmpdir(), "virtio-ts-bench-"));
afterAll(() => rmSync(folder, { recursive: true }));

const program = (code: string): URL => {
  const file = join(folder, "program.mjs");
  writeFileSync(file, code);
  return pathToFileURL(file);
};

test("a program's number is what it prints", async () => {
  expect(await numberFrom(program("console.log(Number(process.argv[2]) / 4);"), ["10"])).toBe(2.5);
});

test("a program that throws fails with what it threw, without its stack", async () => {
  const thrown = program('throw new RangeError("took 3 chains of 4");');
  await expect(numberFrom(thrown, [])).rejects.toThrow(/^RangeError: took 3 chains of 4$/);
});

test("of each side the least counts, measured by turns", async () => {
  const asked: string[] = [];
  const side = (name: string, figures: number[]) => async (): Promise<number> => {
    asked.push(name);
    return figures.shift() ?? Number.NaN;
  };
  expect(await leastOf({ ours: side("ours", [5, 3, 4]), peer: side("peer", [2, 8, 9]) })).toEqual({ ours: 3, peer: 2 });
  expect(asked).toEqual(["ours", "peer", "ours", "peer", "ours", "peer"]);
});
