/**
 * `pnpm bench`: benchmarks, side by side with peers.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { allocBench } from "./alloc/index.ts";
import type { Bench } from "./bench.ts";
import { driverBench } from "./driver/index.ts";
import { fairnessBench } from "./fairness/index.ts";
import { importBench } from "./import.ts";
import { netBench } from "./net/index.ts";
import { queueBench } from "./queue/index.ts";
import { renderJson, renderTable } from "./render.ts";
import { v86Bench } from "./v86/index.ts";

const BENCHES: readonly Bench[] = [v86Bench, queueBench, driverBench, netBench, fairnessBench, allocBench, importBench];

const HELP = `Measures, side by side with peers. Figures of one run compare with each other, not with another machine's.

usage: pnpm bench NAME [--json] [--only TEXT]

${BENCHES.map(({ name, description }) => `  ${name.padEnd(10)}${description}`).join("\n")}

  --json       an object on standard output, nothing else: {"rows": [...]}
  --only TEXT  only rows that have TEXT in their name
  --help       this text
`;

async function main(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { json: { type: "boolean" }, help: { type: "boolean" }, only: { type: "string" } },
  });
  const bench = BENCHES.find(({ name }) => name === positionals[0]);
  if (values.help === true || positionals.length === 0) {
    process.stdout.write(HELP);
    return 0;
  }
  if (bench === undefined || positionals.length > 1) {
    process.stderr.write(
      `no benchmark ${positionals.join(" ")}: expected one of ${BENCHES.map((b) => b.name).join(", ")}\n`,
    );
    return 2;
  }
  const rows = await bench.run((message) => process.stderr.write(`  ${message}\n`), values.only);
  process.stdout.write(`${values.json === true ? renderJson(rows) : renderTable(rows)}\n`);
  return 0;
}

main(process.argv.slice(2)).then(
  (status) => {
    process.exitCode = status;
  },
  (error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  },
);
