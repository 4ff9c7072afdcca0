/**
 * Runs a program of the host and collects what it prints.
 *
 * @module
 */
import { spawn } from "node:child_process";

/** How a program ended. */
export interface ProcessResult {
  /** Exit status; -1 when a signal ended it. */
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Options of {@link runProcess}. */
export interface ProcessOptions {
  readonly cwd?: string;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Runs a program without a shell, in the C locale and without input.
 *
 * @throws the system's error with `code: "ENOENT"` when there is no such program; an AbortError
 */
export function runProcess(
  command: string,
  args: readonly string[],
  options: ProcessOptions = {},
): Promise<ProcessResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd: options.cwd,
      signal: options.signal,
      env: { ...process.env, LC_ALL: "C", DEBIAN_FRONTEND: "noninteractive" },
      stdio: ["ignore", "pipe", "pipe"],
    });
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    child.stdout.on("data", (chunk: Buffer) => stdout.push(chunk));
    child.stderr.on("data", (chunk: Buffer) => stderr.push(chunk));
    let failure: Error | undefined;
    child.once("error", (error) => {
      failure = error;
      // A program that never started closes nothing; one that was aborted is waited for.
      if (child.pid === undefined) reject(error);
    });
    child.once("close", (status) => {
      if (failure) reject(failure);
      else
        resolve({
          status: status ?? -1,
          stdout: Buffer.concat(stdout).toString(),
          stderr: Buffer.concat(stderr).toString(),
        });
    });
  });
}
