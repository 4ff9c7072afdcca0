/**
 * Each measurement is a process of its own, because code that V8 has optimized for one load is slower for the next. The
 * least of several counts, because a busy machine only adds time.
 *
 * @module
 */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { Figures } from "./bench.ts";

const PROCESSES = 3;

/**
 * Runs a program of this package that prints one number.
 *
 * @param program its URL
 * @returns the number
 * @throws Error with the message of the error that it ended with
 */
export function numberFrom(program: URL, args: readonly string[]): Promise<number> {
  return new Promise((resolve, reject) => {
    execFile(process.execPath, [fileURLToPath(program), ...args], (error, stdout, stderr) => {
      if (error === null) resolve(Number(stdout));
      else reject(new Error(/^\w*Error.*$/m.exec(stderr)?.[0] ?? error.message));
    });
  });
}

/** The least of several measurements of both sides, by turns. */
export async function leastOf({ ours, peer }: Record<keyof Figures, () => Promise<number>>): Promise<Figures> {
  const least = { ours: Number.POSITIVE_INFINITY, peer: Number.POSITIVE_INFINITY };
  for (let i = 0; i < PROCESSES; i++) {
    least.ours = Math.min(least.ours, await ours());
    least.peer = Math.min(least.peer, await peer());
  }
  return least;
}
