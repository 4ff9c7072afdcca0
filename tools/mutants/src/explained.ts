/**
 * Mutants that no test can catch, each with its reason: the broken code does the same as the right one.
 *
 * @module
 */
import { existsSync, readFileSync } from "node:fs";
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
 * Reads `data/explained/PACKAGE.json`, which need not be there.
 *
 * @param root - the workspace's root
 * @param name - the package's folder under `packages`
 */
export function readExplained(root: string, name: string): readonly Explained[] {
  const path = join(root, `tools/mutants/data/explained/${name}.json`);
  return existsSync(path) ? (JSON.parse(readFileSync(path, "utf8")) as Explained[]) : [];
}
