/**
 * The project's main job: an unmodified Debian kernel on our NIC. `pnpm demo --help` says the rest.
 *
 * @module
 */
import { HELP, parseOptions, UsageError } from "./demo/options.ts";
import { Progress } from "./demo/progress.ts";
import { succeeded, toJson, toTable } from "./demo/report.ts";
import { runDemo } from "./demo/session.ts";
import { NoKernelError } from "./errors.ts";

const FAILED = 1;
const USAGE = 2;
const NO_KERNEL = 3;
const INTERRUPTED = 130;

async function main(args: readonly string[]): Promise<number> {
  const options = parseOptions(args);
  if (options.help) {
    process.stdout.write(`${HELP}\n`);
    return 0;
  }
  const progress = new Progress();
  const interrupted = new AbortController();
  for (const name of ["SIGINT", "SIGTERM"] as const) process.once(name, () => interrupted.abort(new Error(`ended by ${name}`)));
  try {
    const report = await runDemo(options, progress, interrupted.signal);
    progress.done();
    if (report === null) return 0;
    process.stdout.write(options.json ? `${toJson(report)}\n` : `\n${toTable(report)}\n`);
    return succeeded(report) ? 0 : FAILED;
  } catch (error) {
    progress.done("failed");
    if (interrupted.signal.aborted) {
      process.stderr.write(`${String((interrupted.signal.reason as Error).message)}\n`);
      return INTERRUPTED;
    }
    throw error;
  }
}

main(process.argv.slice(2)).then(
  (status) => {
    process.exitCode = status;
  },
  (error: unknown) => {
    const message = error instanceof Error ? error.message : String(error);
    process.stderr.write(`${message}\n`);
    if (error instanceof UsageError) process.stderr.write("see --help\n");
    process.exitCode = error instanceof UsageError ? USAGE : error instanceof NoKernelError ? NO_KERNEL : FAILED;
  },
);
