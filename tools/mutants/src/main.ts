/**
 * `pnpm mutants`: breaks a package at random places and wants its tests to fail.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Stryker } from "@stryker-mutator/core";
import { formatTable, workspaceRoot } from "@virtio-ts/terminal";
import { readExplained } from "./explained.ts";
import { EXCLUDED_MUTATIONS, sampleMutants, sourcesOf } from "./sample.ts";

const usage = `usage: pnpm mutants PACKAGE [--count N] [--seed N] [--part TEXT] [--jobs N] [--json] [--help]

Breaks the sources of packages/PACKAGE at N random places, one at a time, and plays the package's tests that come by
there. Prints each mutant that survives, and exits with 1 if one does that tools/mutants/data/explained does not
explain. Works on a copy; the sources stay as they are.

  --count N    how many mutants, about; 300 by default
  --seed N     which ones; printed by each run
  --part TEXT  only in files whose path has this text
  --jobs N     how many at the same time; 2 by default
  --json       the result as JSON
`;

const options = {
  help: { type: "boolean" },
  json: { type: "boolean" },
  count: { type: "string", default: "300" },
  seed: { type: "string" },
  part: { type: "string", default: "" },
  jobs: { type: "string", default: "2" },
} as const;

/** An enumeration that exists at compile time only, and not under this compiler's options. */
type LogLevel = NonNullable<ConstructorParameters<typeof Stryker>[0]["logLevel"]>;

/** A mutant that no test caught. */
interface Survivor {
  readonly file: string;
  readonly line: number;
  /** The line, without the white space around it. */
  readonly code: string;
  readonly replacement: string;
  /** Whether a test came by at all. */
  readonly covered: boolean;
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({ options, allowPositionals: true });
  const [name] = positionals;
  if (values.help || name === undefined) {
    process.stdout.write(usage);
    if (!values.help) process.exitCode = 2;
    return;
  }
  const root = workspaceRoot();
  process.chdir(root);
  const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31));
  const sample = await sampleMutants(root, sourcesOf(root, name, values.part), Number(values.count), seed);
  console.error(`${name}: ${sample.size} of ${sample.all} mutants, seed ${seed}`);
  process.env.VIRTIO_TS_PACKAGE = name;
  const results = await new Stryker({
    testRunner: "vitest",
    plugins: ["@stryker-mutator/vitest-runner"],
    vitest: { configFile: "tools/mutants/vitest.config.ts", related: false },
    mutate: [...sample.ranges],
    mutator: { excludedMutations: [...EXCLUDED_MUTATIONS] },
    ignorePatterns: ["**/dist", ".cache", "docs"],
    coverageAnalysis: "perTest",
    concurrency: Number(values.jobs),
    // The compiler of this workspace has no JavaScript interface, and vitest strips types without it.
    tsconfigFile: "none.json",
    disableTypeChecks: false,
    // A mutant of what a module does when it is loaded would need a new process each.
    ignoreStatic: true,
    tempDirName: `.cache/mutants-${name}-${process.pid}`,
    reporters: values.json ? [] : ["progress-append-only"],
    allowConsoleColors: false,
    // It logs to standard output, where the result goes.
    logLevel: "off" as LogLevel,
    // Beside one and a half times what its tests take: mutants that loop for ever cost most of a run.
    timeoutMS: 5000,
    // All tests of the largest package, on a machine that others use.
    dryRunTimeoutMinutes: 30,
  }).runMutationTest();

  const survivors = results
    .filter(({ status }) => status === "Survived" || status === "NoCoverage")
    .map(({ fileName, location, replacement, status }): Survivor => {
      const file = fileName.slice(fileName.indexOf("packages/"));
      const line = location.start.line;
      const code = readFileSync(join(root, file), "utf8").split("\n")[line - 1]?.trim() ?? "";
      return { file, line, code, replacement, covered: status === "Survived" };
    });
  const explained = readExplained(root, name);
  const left = survivors.filter(
    ({ file, code, replacement }) =>
      !explained.some((known) => known.file === file && known.line === code && known.replacement === replacement),
  );
  const tried = results.filter(({ status }) => status !== "Ignored").length;
  const tally = {
    package: name,
    seed,
    tried,
    caught: tried - survivors.length,
    explained: survivors.length - left.length,
  };
  if (values.json) console.log(JSON.stringify({ ...tally, survivors: left }));
  else print(tally, left);
  if (left.length > 0) process.exitCode = 1;
}

function print(tally: { tried: number; caught: number; explained: number }, left: readonly Survivor[]): void {
  const columns = [{ title: "place" }, { title: "reached" }, { title: "line" }, { title: "became" }];
  const rows = left.map(({ file, line, covered, code, replacement }) => [
    `${file}:${line}`,
    covered ? "yes" : "no",
    code.slice(0, 90),
    replacement.replace(/\s+/g, " ").slice(0, 60),
  ]);
  if (rows.length > 0) console.log(formatTable(columns, rows));
  console.log(`\n${tally.tried} tried, ${tally.caught} caught, ${tally.explained} explained, ${left.length} survive`);
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 2;
});
