/**
 * Child processes whose output is collected instead of shown.
 *
 * @module
 */
import { spawn } from "node:child_process";

/** How a command ended. */
export interface CommandResult {
  /** Whether it exited with status 0. */
  readonly ok: boolean;
  /** What it wrote, standard output and standard error in the order they came. */
  readonly output: string;
}

/**
 * Runs a command to its end, without a shell and without input.
 *
 * @param command - the program and its arguments
 * @param options - `cwd`: the folder to run in; `env`: variables added to this process's
 * @returns whether it succeeded and what it wrote; a program that cannot be started is a failure that says so
 */
export function runCommand(
  command: readonly [string, ...string[]],
  options: { readonly cwd: string; readonly env?: Readonly<Record<string, string>> },
): Promise<CommandResult> {
  const [program, ...args] = command;
  const child = spawn(program, args, {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  const collect = (chunk: string): void => {
    output += chunk;
  };
  child.stdout.setEncoding("utf8").on("data", collect);
  child.stderr.setEncoding("utf8").on("data", collect);
  return new Promise((resolve) => {
    child.on("error", (error) => resolve({ ok: false, output: `${program}: ${error.message}\n` }));
    child.on("close", (status) => resolve({ ok: status === 0, output }));
  });
}
