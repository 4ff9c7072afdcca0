/** Proofs are read from the packages, and a proof that breaks nothing, or more than one place, is told of. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readProofs } from "../src/proofs.ts";

const FILE = "packages/a/src/limit.ts";
let root: string;

beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "virtio-ts-proofs-"));
  for (const folder of ["packages/a/src", "packages/a/test", "packages/b"]) {
    mkdirSync(join(root, folder), { recursive: true });
  }
  writeFileSync(join(root, FILE), "export const tooLong = (n: number): boolean => n > 4 || n > 5;\n");
});

afterAll(() => rmSync(root, { recursive: true }));

function problemsOf(proof: object): readonly string[] {
  writeFileSync(join(root, "packages/a/test/proofs.json"), JSON.stringify([{ id: "x.device.y.1", ...proof }]));
  return readProofs(root).problems;
}

test("a proof whose text stands once in its file is good", () => {
  expect(problemsOf({ file: FILE, from: "n > 4", to: "n > 40" })).toEqual([]);
});

test.each([
  [{ file: "packages/a/src/none.ts", from: "n", to: "m" }, "which is not there"],
  [{ file: FILE, from: "n > ", to: "n < " }, "has 2 times, expected once"],
  [{ file: FILE, from: "n > 6", to: "n < 6" }, "has 0 times, expected once"],
  [{ file: FILE, from: "n > 4", to: "n > 4" }, "changes nothing"],
])("%j is told of", (proof, message) => {
  expect(problemsOf(proof)).toEqual([expect.stringContaining(message)]);
});

test("the proofs that are committed find their places", () => {
  const { proofs, problems } = readProofs(fileURLToPath(new URL("../../..", import.meta.url)));
  expect(problems).toEqual([]);
  expect(new Set(proofs.map(({ id }) => id)).size).toBe(proofs.length);
});
