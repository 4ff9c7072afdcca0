/**
 * Mutants that no test can catch, each with its reason: the broken code does the same as the right one.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";

/** One mutant that survives for a reason. */
export interface Explained {
  readonly file: string;
  /** The line it stands in, without the white space around it. */
  readonly line: string;
  readonly replacement: string;
  readonly why: string;
}

/**
 * Reads `data/explained.json`.
 *
 * @param root - the workspace's root
 */
export function readExplained(root: string): readonly Explained[] {
  return JSON.parse(readFileSync(join(root, "tools/mutants/data/explained.json"), "utf8")) as Explained[];
}
