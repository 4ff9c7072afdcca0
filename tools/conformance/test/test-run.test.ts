/**
 * When the results of the last test run still hold, and what runs when they do not.
 *
 * @module
 */
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { testOutcomes } from "../src/test-run.ts";

const ID = "split.device.used-ring.1";
const BEARING = "packages/queue/test/bearing.test.ts";

/** Stands in for the test runner: notes its arguments and writes one result of each kind. */
const RUNNER = `#!${process.execPath}
const { writeFileSync } = require("node:fs");
const args = process.argv.slice(2);
writeFileSync("ran.json", JSON.stringify(args));
const tests = ["passed", "failed", "pending", "todo"].map((status) => ({ fullName: status, status }));
const report = { testResults: [{ name: process.cwd() + "/${BEARING}", assertionResults: tests }] };
writeFileSync(args.find((arg) => arg.startsWith("--outputFile.json=")).split("=")[1], JSON.stringify(report));
`;

let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "ledger-"));
  write("bin/vitest", RUNNER);
  chmodSync(join(root, "bin/vitest"), 0o755);
  vi.stubEnv("PATH", `${join(root, "bin")}${delimiter}${process.env.PATH}`);
  write(BEARING, `test("[${ID}]");`);
  write("packages/queue/test/other.test.ts", 'test("other");');
});

afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(root, { recursive: true });
});

function write(file: string, text: string): void {
  mkdirSync(dirname(join(root, file)), { recursive: true });
  writeFileSync(join(root, file), text);
}

function leaveResults(file: string, time: Date): void {
  const testResults = [{ name: join(root, file), assertionResults: [{ fullName: "left", status: "passed" }] }];
  write(".cache/test-results.json", JSON.stringify({ testResults }));
  utimesSync(join(root, ".cache/test-results.json"), time, time);
}

function filesRun(): string[] {
  const args: string[] = JSON.parse(readFileSync(join(root, "ran.json"), "utf8"));
  return args.filter((arg) => arg.startsWith("packages/"));
}

const later = (): Date => new Date(Date.now() + 60_000);
const earlier = (): Date => new Date(Date.now() - 60_000);

test("results that are younger than every source and hold every bearing file are taken", () => {
  leaveResults(BEARING, later());
  expect(testOutcomes(root, () => {})).toEqual([{ file: BEARING, name: "left", outcome: "passed" }]);
});

test("a source younger than the results: the files that bear ids run, the others do not", () => {
  leaveResults(BEARING, earlier());
  expect(testOutcomes(root, () => {})).toEqual([
    { file: BEARING, name: "passed", outcome: "passed" },
    { file: BEARING, name: "failed", outcome: "failed" },
    { file: BEARING, name: "pending", outcome: "skipped" },
    { file: BEARING, name: "todo", outcome: "skipped" },
  ]);
  expect(filesRun()).toEqual([BEARING]);
});

test("results of a run that left a bearing file out are not taken", () => {
  leaveResults("packages/queue/test/other.test.ts", later());
  testOutcomes(root, () => {});
  expect(filesRun()).toEqual([BEARING]);
});

test("a helper that bears ids makes all tests of its package run", () => {
  rmSync(join(root, BEARING));
  write("packages/queue/test/table.ts", `export const id = "${ID}";`);
  testOutcomes(root, () => {});
  expect(filesRun()).toEqual(["packages/queue/test/"]);
});

test("a run that leaves no results is an error", () => {
  write("bin/vitest", "#!/bin/sh\n");
  expect(() => testOutcomes(root, () => {})).toThrow("the tests left no results");
});
