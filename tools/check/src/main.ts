/**
 * `pnpm check`: runs the checks of this repository and prints what each said.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { type Column, formatRow, workspaceRoot } from "@virtio-ts/terminal";
import { type Step, type StepResult, steps } from "./steps.ts";

const columns: readonly Column[] = [
  { title: "step" },
  { title: "result" },
  { title: "seconds", align: "right" },
  { title: "checks" },
];
const widths = [Math.max(...steps.map((step) => step.name.length)), "failed".length, "seconds".length, 0];

const usage = `usage: pnpm check [STEP...] [--help]

Runs the steps named, or all of them, and exits with 1 if any failed.

${steps.map((step) => `  ${step.name.padEnd(widths[0] ?? 0)}  ${step.about}`).join("\n")}
`;

/** The steps that the command line asks for; undefined if it asked for help or for something that is not there. */
function chosenSteps(): readonly Step[] | undefined {
  const { values, positionals } = parseArgs({ allowPositionals: true, options: { help: { type: "boolean" } } });
  if (values.help) {
    process.stdout.write(usage);
    return undefined;
  }
  const unknown = positionals.filter((name) => !steps.some((step) => step.name === name));
  if (unknown.length > 0) throw new Error(`no step ${unknown.join(", ")}; see pnpm check --help`);
  return positionals.length === 0 ? steps : steps.filter((step) => positionals.includes(step.name));
}

async function runSteps(chosen: readonly Step[]): Promise<void> {
  const root = workspaceRoot();
  const print = (...cells: string[]): void => console.log(formatRow(columns, cells, widths));
  print(...columns.map((column) => column.title));
  const failures: [Step, StepResult][] = [];
  for (const step of chosen) {
    const start = performance.now();
    const result = await step.run(root).catch(brokenStep);
    const seconds = ((performance.now() - start) / 1000).toFixed(1);
    const about = result.extent === undefined ? step.about : `${step.about} (${result.extent})`;
    print(step.name, result.ok ? "ok" : "failed", seconds, about);
    if (!result.ok) failures.push([step, result]);
  }
  for (const [step, result] of failures) console.log(`\n── ${step.name}\n${result.output.trimEnd()}`);
  console.log(`\n${chosen.length - failures.length} passed, ${failures.length} failed`);
  if (failures.length > 0) process.exitCode = 1;
}

/** A step that throws has failed; the others still run. */
function brokenStep(error: unknown): StepResult {
  return { ok: false, output: String(error) };
}

try {
  const chosen = chosenSteps();
  if (chosen !== undefined) await runSteps(chosen);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 2;
}
