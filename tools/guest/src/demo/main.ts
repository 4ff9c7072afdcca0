/**
 * The demo as a program: from its arguments to its exit status.
 *
 * @module
 */
import { GuestError, NoKernelError } from "../errors.ts";
import { type DemoOptions, HELP, parseOptions } from "./options.ts";
import { Progress } from "./progress.ts";
import { succeeded, toJson, toTable } from "./report.ts";
import { runDemo, runDemoShell } from "./run.ts";
import { type Session, startSession } from "./session.ts";
import { UsageError } from "./usage.ts";

const OK = 0;
const FAILED = 1;
const USAGE = 2;
const NO_KERNEL = 3;
const INTERRUPTED = 130;
/** Small frames are recorded whole; of a large segment its beginning. */
const SNAP_LENGTH = 1514;

/**
 * Runs the demo, and says on standard error, in one line, why it failed if it did.
 *
 * @param args the command line
 * @param onSession for tests of what may happen meanwhile: is given the session as soon as the network is up
 * @returns the exit status
 */
export async function demoMain(args: readonly string[], onSession?: (session: Session) => void): Promise<number> {
  const interrupted = new AbortController();
  const interrupt = (name: NodeJS.Signals): void => interrupted.abort(new Error(`ended by ${name}`));
  const progress = new Progress();
  try {
    const options = parseOptions(args);
    if (options.help) {
      process.stdout.write(`${HELP}\n`);
      return OK;
    }
    process.once("SIGINT", interrupt).once("SIGTERM", interrupt);
    return await demo(options, progress, interrupted.signal, onSession);
  } catch (error) {
    progress.done("failed");
    const cause: unknown = interrupted.signal.aborted ? interrupted.signal.reason : error;
    process.stderr.write(`${oneLine(cause)}\n`);
    return interrupted.signal.aborted ? INTERRUPTED : statusOf(error);
  } finally {
    process.off("SIGINT", interrupt).off("SIGTERM", interrupt);
  }
}

async function demo(
  options: DemoOptions,
  progress: Progress,
  signal: AbortSignal,
  onSession?: (session: Session) => void,
): Promise<number> {
  const begin = performance.now();
  const { assets, bytes, json, nic } = options;
  const capture = { path: options.capture, snapLength: SNAP_LENGTH };
  const session = await startSession({ assets, nic, bytes, capture, progress, signal });
  try {
    onSession?.(session);
    if (options.shell) {
      await runDemoShell(session);
      return OK;
    }
    const report = await runDemo(session, options, progress, begin);
    process.stdout.write(json ? `${toJson(report)}\n` : `\n${toTable(report)}\n`);
    return succeeded(report) ? OK : FAILED;
  } finally {
    await session.close();
  }
}

function statusOf(error: unknown): number {
  if (error instanceof NoKernelError) return NO_KERNEL;
  if (error instanceof UsageError) return USAGE;
  return error instanceof GuestError && error.code === "BAD_OPTION" ? USAGE : FAILED;
}

/** People who run a command want to know what is wrong, not where. */
function oneLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).replace(/\s*\n\s*/g, " ");
}
