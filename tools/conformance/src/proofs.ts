/**
 * Proofs: for a statement that a test shows, the smallest change of the sources that makes the test fail. They stand
 * beside the tests, in `test/proofs.json` of each package.
 *
 * @module
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** How to break the code behind one statement. */
export interface Proof {
  readonly id: string;
  /** The source, relative to the workspace's root. */
  readonly file: string;
  /** A text that the source has exactly once. */
  readonly from: string;
  /** The text in its place. */
  readonly to: string;
}

/**
 * Reads the proofs of all packages.
 *
 * @param root - the workspace's root
 * @returns the proofs, and what is wrong with them: a text that is not found, or more than once
 */
export function readProofs(root: string): { proofs: readonly Proof[]; problems: readonly string[] } {
  const proofs = readdirSync(join(root, "packages"))
    .map((name) => join(root, "packages", name, "test/proofs.json"))
    .filter((path) => existsSync(path))
    .flatMap((path): Proof[] => JSON.parse(readFileSync(path, "utf8")));
  return { proofs, problems: proofs.flatMap((proof) => problemsOf(root, proof)) };
}

function problemsOf(root: string, { id, file, from, to }: Proof): string[] {
  const path = join(root, file);
  if (!existsSync(path)) return [`the proof of ${id} breaks ${file}, which is not there`];
  const places = readFileSync(path, "utf8").split(from).length - 1;
  if (places !== 1)
    return [`the proof of ${id} looks for a text that ${file} has ${places} times, expected once: ${from}`];
  return from === to ? [`the proof of ${id} changes nothing`] : [];
}
