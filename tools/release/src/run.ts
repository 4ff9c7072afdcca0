/**
 * Child processes that must succeed.
 *
 * @module
 */
import { execFile } from "node:child_process";
import { promisify } from "node:util";

const execute = promisify(execFile);

/**
 * Runs a command to its end, without a shell.
 *
 * @param cwd - the folder to run in
 * @param command - the program and its arguments
 * @returns what it wrote to standard output
 * @throws Error if it fails; the message is the command and what it wrote
 */
export async function run(cwd: string, command: readonly [string, ...string[]]): Promise<string> {
  const [program, ...args] = command;
  try {
    return (await execute(program, args, { cwd, maxBuffer: 1 << 26 })).stdout;
  } catch (error) {
    const { message, stdout, stderr } = error as Error & { readonly stdout?: string; readonly stderr?: string };
    const said = `${stdout ?? ""}${stderr ?? ""}`.trim() || message;
    throw new Error(`${command.join(" ")} failed in ${cwd}:\n${said}`, { cause: error });
  }
}

/**
 * Runs the workspace's package manager, wherever it is called from.
 *
 * @param cwd - the folder to run in
 * @param args - its arguments
 * @returns what it wrote to standard output
 * @throws Error if it fails
 */
export function pnpm(cwd: string, ...args: string[]): Promise<string> {
  return run(cwd, ["npx", "-y", "pnpm@12", ...args]);
}
