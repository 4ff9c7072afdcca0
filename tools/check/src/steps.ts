/**
 * The steps of `pnpm check`, in their order.
 *
 * @module
 */
import { type CommandResult, runCommand } from "@virtio-ts/terminal";
import { compileDeclarations } from "./declarations.ts";
import { checkFloors } from "./floors/check-floors.ts";
import { passedOver } from "./passed-over.ts";
import { compileReadmes } from "./readmes/compile-readmes.ts";

/** How a step ended. */
export interface StepResult extends CommandResult {
  /** How much it looked at, such as `35 blocks`. */
  readonly extent?: string;
}

/** One step of the check. */
export interface Step {
  readonly name: string;
  /** What it checks, in a few words. */
  readonly about: string;
  /**
   * Runs it.
   *
   * @param root - the workspace's root
   */
  run(root: string): Promise<StepResult>;
}

/** Every step. */
export const steps: readonly Step[] = [
  { name: "types", about: "sources and tests compile", run: checkTypes },
  { name: "lint", about: "format and lint rules", run: command("biome", "check", "--error-on-warnings") },
  { name: "readmes", about: "what the READMEs show compiles as copied", run: checkReadmes },
  { name: "declarations", about: "TypeScript 5.0 understands what is declared", run: checkDeclarations },
  { name: "floors", about: "who may import whom", run: async (root) => floors(root) },
  {
    name: "unused",
    about: "files, exports and dependencies that nobody uses",
    run: command("knip", "--no-config-hints"),
  },
  { name: "workspace", about: "the manifests agree with each other", run: command("sherif", "--fail-on-warnings") },
  { name: "hygiene", about: "what would be published, packed and inspected", run: checkPackages },
];

function command(...words: [string, ...string[]]): Step["run"] {
  return (root) => runCommand(words, { cwd: root });
}

async function checkTypes(root: string): Promise<CommandResult> {
  const sources = await runCommand(["tsc", "-b"], { cwd: root });
  const tests = await runCommand(["tsc", "-p", "tsconfig.test.json"], { cwd: root });
  return { ok: sources.ok && tests.ok, output: sources.output + tests.output };
}

async function checkReadmes(root: string): Promise<StepResult> {
  const build = await runCommand(["tsc", "-b"], { cwd: root });
  if (!build.ok) return { ok: false, output: "nothing to compile against: the sources do not compile (step types)\n" };
  const { ok, output, blocks, broken } = await compileReadmes(root);
  return { ok, output, extent: `${blocks} blocks, ${broken} broken` };
}

async function checkDeclarations(root: string): Promise<StepResult> {
  const build = await runCommand(["tsc", "-b"], { cwd: root });
  if (!build.ok) return { ok: false, output: "nothing to compile: the sources do not compile (step types)\n" };
  const { ok, output, entries } = await compileDeclarations(root);
  return { ok, output, extent: `${entries} entries` };
}

function floors(root: string): StepResult {
  const { files, problems } = checkFloors(root);
  const summary = `${files} files, ${problems.length} violations\n`;
  const output = problems.map((line) => `${line}\n`).join("") + summary;
  return { ok: problems.length === 0, output, extent: `${files} files` };
}

/** Each package's own `hygiene` script; turbo repeats it only for packages that changed, and skips those without one. */
async function checkPackages(root: string): Promise<CommandResult> {
  const left = passedOver(root);
  if (left.length > 0) return { ok: false, output: left.map((line) => `${line}\n`).join("") };
  const build = await runCommand(["tsc", "-b"], { cwd: root });
  if (!build.ok) return { ok: false, output: "nothing to pack: the sources do not compile (step types)\n" };
  return runCommand(["turbo", "run", "hygiene", "--output-logs=errors-only", "--no-update-notifier"], {
    cwd: root,
    env: { TURBO_TELEMETRY_DISABLED: "1" },
  });
}
