/**
 * Breaks every check of the queues in turn and wants a test to fail: `node mutants/run.mjs [text in a mutant]`.
 *
 * Works on a copy under `.cache`, so that the sources stay as they are. Prints the survivors and the score; leaves with
 * 1 when a mutant survives.
 * @module
 */

import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { mutants } from "./list.mjs";

const root = fileURLToPath(new URL("../../../", import.meta.url));
const copy = join(root, ".cache/mutants");
/** The quick ones first: most mutants die of them. */
const TESTS = ["test/split-", "test/packed-", "test/device-", "test/restore", "test/halves", "test/run-time"];

function prepare() {
  rmSync(copy, { recursive: true, force: true });
  mkdirSync(join(copy, "packages"), { recursive: true });
  const options = { recursive: true, verbatimSymlinks: true };
  for (const name of ["vm-memory", "virtio-bindings", "virtio-queue"]) {
    cpSync(join(root, "packages", name), join(copy, "packages", name), options);
  }
  for (const name of ["vitest.config.ts", "tsconfig.base.json"]) cpSync(join(root, name), join(copy, name));
  symlinkSync(join(root, "node_modules"), join(copy, "node_modules"));
}

function testsFail(filters) {
  const vitest = join(root, "node_modules/vitest/vitest.mjs");
  const args = [vitest, "run", "--root", copy, "--bail", "1", "--reporter", "dot", "--testTimeout", "20000"];
  const { status } = spawnSync(process.execPath, [...args, ...filters], {
    cwd: copy,
    stdio: "ignore",
    timeout: 120_000,
  });
  return status !== 0;
}

prepare();
const quick = TESTS.slice(0, 4).map((name) => join("packages/virtio-queue", name));
const slow = TESTS.slice(4).map((name) => join("packages/virtio-queue", name));
if (testsFail([...quick, ...slow])) throw new Error("the tests fail without a mutant");

const only = process.argv[2];
let killed = 0;
const survivors = [];
const chosen = mutants.filter((mutant) => only === undefined || mutant.join(" ").includes(only));
for (const [file, from, to] of chosen) {
  const path = join(copy, "packages/virtio-queue", file);
  if (!existsSync(path)) throw new Error(`no file ${file}`);
  const source = readFileSync(path, "utf8");
  if (source.split(from).length !== 2)
    throw new Error(`${file}: found ${source.split(from).length - 1} times: ${from}`);
  writeFileSync(
    path,
    source.replace(from, () => to),
  );
  const dead = testsFail(quick) || testsFail(slow);
  writeFileSync(path, source);
  if (dead) killed++;
  else {
    survivors.push([file, from, to]);
    console.log(`survives: ${file}\n  - ${from}\n  + ${to}`);
  }
}
console.log(`${killed} of ${chosen.length} mutants caught`);
process.exitCode = survivors.length === 0 ? 0 : 1;
