/**
 * Breaks every check of the queues in turn and wants a test to fail: `pnpm mutants [text in a mutant...]`. With `--check`
 * it only says whether each one still finds its place.
 *
 * Works on a copy under `.cache`, so that the sources stay as they are. Prints the survivors and the score; leaves with
 * 1 when a mutant survives.
 * @module
 */

import { spawn } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { mutants } from "./list.mjs";

const root = fileURLToPath(new URL("../../../", import.meta.url));
const copy = join(root, `.cache/mutants-${process.pid}`);
/** The tests most likely to catch a mutant of a file come first; then all quick ones, then the slow ones. */
const LIKELY = [
  [/restore/, ["restore"]],
  [/chain-cursor/, ["copies", "device-life"]],
  [
    /device\/(\w+-used|holdings|in-order|base-)/,
    ["given-back", "device-life", "edges", "split-device", "packed-device"],
  ],
  [/device\/split|singles/, ["split-device", "device-hostile", "chains", "windows"]],
  [/device\/packed/, ["packed-device", "edges", "device-hostile", "chains", "windows"]],
  [/driver\/split|elements/, ["split-driver"]],
  [/driver\/packed|layout\/packed/, ["packed-driver", "packed-device"]],
  [/device\//, ["edges", "device-", "split-device", "packed-device", "windows"]],
  [/driver\//, ["split-driver", "packed-driver", "driver-life"]],
  [/./, ["split-", "device-hostile", "windows"]],
];
const QUICK = [
  "split-",
  "packed-",
  "device-",
  "driver-",
  "given-back",
  "chains",
  "edges",
  "copies",
  "restore",
  "windows",
];
const SLOW = ["halves", "run-time", "reference"];

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
  const args = [
    vitest,
    "run",
    "--root",
    copy,
    "--bail",
    "1",
    "--reporter",
    "dot",
    "--testTimeout",
    "20000",
    "--no-isolate",
    "--no-file-parallelism",
  ];
  const paths = filters.map((filter) => join("packages/virtio-queue/test", filter));
  // A mutant may loop and grow for ever: it gets 1.5 GB and 25 s, then it goes with all its workers.
  const command = ["-c", 'ulimit -d 1500000 && exec "$0" "$@"', process.execPath, ...args, ...paths];
  return new Promise((resolve) => {
    const child = spawn("sh", command, { cwd: copy, stdio: "ignore", detached: true });
    const kill = () => process.kill(-child.pid, "SIGKILL");
    const late = setTimeout(kill, 25_000);
    process.once("exit", kill);
    child.once("exit", (code) => {
      clearTimeout(late);
      process.off("exit", kill);
      resolve(code !== 0);
    });
  });
}

/** A mutant's file, cut at each place it is for. */
function cut([file, from], folder) {
  const path = join(folder, file);
  if (!existsSync(path)) throw new Error(`no file ${file}`);
  const source = readFileSync(path, "utf8");
  const parts = source.split(from);
  if (parts.length < 2) throw new Error(`${file}: not found: ${from}`);
  return { path, source, parts };
}

if (process.argv[2] === "--check") {
  const problems = [];
  let places = 0;
  for (const mutant of mutants) {
    try {
      places += cut(mutant, join(root, "packages/virtio-queue")).parts.length - 1;
    } catch (error) {
      problems.push(error.message);
    }
  }
  console.log(`${mutants.length} mutants find ${places} places`);
  for (const problem of problems) console.log(problem);
  process.exit(problems.length === 0 ? 0 : 1);
}

// Whoever interrupts the run leaves no mutant running behind.
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(1));
prepare();
if (await testsFail([...QUICK, ...SLOW])) throw new Error("the tests fail without a mutant");

const only = process.argv.slice(2);
let killed = 0;
let tried = 0;
const chosen = mutants.filter((mutant) => only.length === 0 || only.some((text) => mutant.join(" ").includes(text)));
for (const [file, from, to] of chosen) {
  const { path, source, parts } = cut([file, from], join(copy, "packages/virtio-queue"));
  const [, likely] = LIKELY.find(([pattern]) => pattern.test(file));
  // Where a loop is there twice, each of the two is broken on its own.
  for (let place = 1; place < parts.length; place++) {
    tried++;
    writeFileSync(path, parts.slice(0, place).join(from) + to + parts.slice(place).join(from));
    const dead = (await testsFail(likely)) || (await testsFail(QUICK)) || (await testsFail(SLOW));
    process.stderr.write(dead ? "." : "!\n");
    if (dead) killed++;
    else console.log(`survives: ${file}, place ${place}\n  - ${from}\n  + ${to}`);
  }
  writeFileSync(path, source);
}
rmSync(copy, { recursive: true, force: true });
console.log(`${killed} of ${tried} mutants caught`);
process.exitCode = killed === tried ? 0 : 1;
