/** The demo as users run it: a process of its own, built as `pnpm demo` builds it. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../../../..", import.meta.url));
const DEMO = `${ROOT}/tools/guest/dist/demo.js`;
/** Nothing takes so long, not even on a busy machine; a process that does hangs, and is killed. */
const PATIENCE_MS = 400_000;

/** How a process ended. */
export interface Ended {
  /** Exit status; null when a signal ended it. */
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** Whether a process that it began is still there. */
  readonly orphans: boolean;
}

/** A process under way. */
export interface Running {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  /** Resolves when standard error has said this. */
  says(text: string): Promise<void>;
}

/** Builds what the demo is made of. */
export function buildDemo(): void {
  execFileSync(`${ROOT}/node_modules/.bin/tsc`, ["-b", "tools/guest"], { cwd: ROOT, stdio: "pipe" });
}

/** Starts the demo, or the script named, with arguments, in a process group of its own. */
export function startDemo(
  args: readonly string[],
  options: {
    readonly script?: string;
    readonly env?: NodeJS.ProcessEnv;
    readonly cwd?: string;
    readonly input?: string;
  } = {},
): Running {
  const { script = DEMO, env = process.env, cwd, input } = options;
  const child = spawn(process.execPath, [script, ...args], { env, cwd, stdio: "pipe", detached: true });
  child.stdin.on("error", () => {});
  if (input !== undefined) child.stdin.end(input);
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (data) => {
    stdout += data;
  });
  child.stderr.on("data", (data) => {
    stderr += data;
  });
  const patience = setTimeout(() => child.kill("SIGKILL"), PATIENCE_MS);
  const ended = new Promise<Ended>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (status) => {
      clearTimeout(patience);
      resolve({ status, stdout, stderr, orphans: groupIsAlive(child) });
    });
  });
  const says = async (text: string): Promise<void> => {
    while (!stderr.includes(text)) {
      if (child.exitCode !== null) throw new Error(`it ended without saying "${text}": ${stderr}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };
  return { child, ended, says };
}

/** Runs the demo to its end. */
export function runDemo(...args: Parameters<typeof startDemo>): Promise<Ended> {
  return startDemo(...args).ended;
}

function groupIsAlive(child: ChildProcess): boolean {
  try {
    process.kill(-child.pid!, 0);
    return true;
  } catch {
    return false;
  }
}
