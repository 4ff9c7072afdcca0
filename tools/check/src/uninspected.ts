/**
 * The packages that the step `hygiene` would pass over in silence: a task runner runs a script where there is one.
 *
 * @module
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** The part of a package.json that is read here. */
interface Manifest {
  readonly private?: boolean;
  readonly scripts?: Readonly<Record<string, string>>;
}

/** The one way to inspect a package. */
const HYGIENE = "node ../../tools/check/dist/hygiene.js";

/**
 * One line for each package under `packages/` that would be published, but not inspected.
 *
 * @param root - the workspace's root
 */
export function uninspected(root: string): readonly string[] {
  return readdirSync(join(root, "packages"))
    .map((name) => join("packages", name))
    .filter((folder) => existsSync(join(root, folder, "package.json")))
    .flatMap((folder) => problem(folder, readManifest(join(root, folder, "package.json"))));
}

function readManifest(file: string): Manifest {
  return JSON.parse(readFileSync(file, "utf8"));
}

function problem(folder: string, { private: isPrivate, scripts }: Manifest): readonly string[] {
  if (isPrivate === true || scripts?.hygiene === HYGIENE) return [];
  return [`${folder}/package.json: the script "hygiene" is not "${HYGIENE}": nobody looks into the package`];
}
