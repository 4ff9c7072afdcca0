/**
 * Finds the results of the tests that bear ids: those that `pnpm test` left, where they still hold, or a new run of
 * just these tests.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { readOutcomes, type TestOutcome } from "./test-outcomes.ts";

/** Where `pnpm test` leaves its results, relative to the workspace's root. */
const TEST_RESULTS = ".cache/test-results.json";
const OWN_RESULTS = ".cache/conformance-results.json";

/** A mention of an id, in a test's name or in a table of a test file. */
const ID_MENTION = /\b[a-z-]+\.(?:legacy\.)?(?:device|driver|both)\.[a-z0-9-]+\.\d/;

/**
 * The outcomes of every test that bears an id, at least.
 *
 * @param root - the workspace's root
 * @param say - told in a line what is being done
 * @throws Error if the tests had to run and left no results
 */
export function testOutcomes(root: string, say: (line: string) => void): TestOutcome[] {
  const sources = sourceFiles(root);
  const bearing = testsBearingIds(root, sources);
  const left = outcomesLeft(root, sources);
  const seen = new Set(left.map(({ file }) => file));
  if (left.length > 0 && bearing.every((path) => path.endsWith("/") || seen.has(path))) return left;
  if (bearing.length === 0) return left;
  say(`running the tests that bear ids: ${bearing.length} files`);
  return runTests(root, bearing);
}

/** The TypeScript files whose change makes earlier results stale. */
function sourceFiles(root: string): string[] {
  return ["packages", "tools"]
    .filter((group) => existsSync(join(root, group)))
    .flatMap((group) => readdirSync(join(root, group)).map((name) => `${group}/${name}`))
    .flatMap((owner) => [`${owner}/src`, `${owner}/test`])
    .filter((folder) => existsSync(join(root, folder)))
    .flatMap((folder) =>
      readdirSync(join(root, folder), { recursive: true, encoding: "utf8" }).map((file) => `${folder}/${file}`),
    )
    .filter((file) => file.endsWith(".ts"));
}

/**
 * The test files of packages that mention an id.
 *
 * @param root - the workspace's root
 * @param id - the statement's id
 * @returns files, or `packages/x/test/` where a helper mentions it for every test of its package
 */
export function testsBearing(root: string, id: string): string[] {
  const sources = sourceFiles(root).filter((file) => file.startsWith("packages/"));
  return filesWith(root, sources, (text) => text.includes(`[${id}]`) || text.includes(`"${id}"`));
}

/** The test files that mention any id. */
function testsBearingIds(root: string, sources: readonly string[]): string[] {
  return filesWith(root, sources, (text) => ID_MENTION.test(text));
}

/** A helper that mentions an id stands for every test of its package, as `packages/x/test/`. */
function filesWith(root: string, sources: readonly string[], matches: (text: string) => boolean): string[] {
  const bearing = sources.filter(
    (file) => /^\w+\/[^/]+\/test\//.test(file) && matches(readFileSync(join(root, file), "utf8")),
  );
  return [...new Set(bearing.map((file) => (file.endsWith(".test.ts") ? file : file.replace(/\/test\/.*/, "/test/"))))];
}

/** The outcomes that `pnpm test` left, unless a source is younger. */
function outcomesLeft(root: string, sources: readonly string[]): TestOutcome[] {
  const results = join(root, TEST_RESULTS);
  if (!existsSync(results)) return [];
  const written = statSync(results).mtimeMs;
  const stale = sources.some((file) => statSync(join(root, file)).mtimeMs > written);
  return stale ? [] : readOutcomes(results, root);
}

function runTests(root: string, paths: readonly string[]): TestOutcome[] {
  const results = join(root, OWN_RESULTS);
  mkdirSync(dirname(results), { recursive: true });
  const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${results}`];
  const start = Date.now();
  spawnSync("vitest", ["run", ...reporters, ...paths], { cwd: root, stdio: ["ignore", 2, 2] });
  if (!existsSync(results) || statSync(results).mtimeMs < start) throw new Error("the tests left no results");
  return readOutcomes(results, root);
}
