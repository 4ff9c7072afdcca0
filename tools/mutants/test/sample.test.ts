/** Which places of a package a mutation run breaks. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { sampleMutants, sourcesOf } from "../src/sample.ts";

let root: string;

beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "virtio-ts-mutants-"));
  mkdirSync(join(root, "packages/a/src/testing"), { recursive: true });
  const lines = Array.from({ length: 30 }, (_, i) => `export const f${i} = (x: number): boolean => x < ${i};`);
  writeFileSync(join(root, "packages/a/src/less.ts"), lines.join("\n"));
  writeFileSync(join(root, "packages/a/src/text.ts"), `export const message = "a text";`);
  writeFileSync(join(root, "packages/a/src/testing/mock.ts"), `export const mock = 1 + 1;`);
});

afterAll(() => rmSync(root, { recursive: true }));

test("the sources of a package are all but its mocks for other packages' tests", () => {
  expect(sourcesOf(root, "a", "")).toEqual(["packages/a/src/less.ts", "packages/a/src/text.ts"]);
  expect(sourcesOf(root, "a", "less")).toEqual(["packages/a/src/less.ts"]);
});

test("a seed chooses the same mutants again, another seed others, and about as many as wanted", async () => {
  const files = sourcesOf(root, "a", "");
  const first = await sampleMutants(root, files, 20, 7);
  expect(await sampleMutants(root, files, 20, 7)).toEqual(first);
  expect((await sampleMutants(root, files, 20, 8)).ranges).not.toEqual(first.ranges);
  expect(first.size).toBeGreaterThanOrEqual(20);
  expect(first.size).toBeLessThan(28);
});

test("asked for more than there are, it takes all, and no text of a message is among them", async () => {
  const all = await sampleMutants(root, sourcesOf(root, "a", ""), 10_000, 1);
  expect(all.size).toBe(all.all);
  expect(all.ranges.every((range) => range.startsWith("packages/a/src/less.ts:"))).toBe(true);
});
