/**
 * The packages that turbo would pass over in silence: it runs a script where there is one.
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

/** The one way to inspect a package, and the one to test it. */
const SCRIPTS = {
  hygiene: "node ../../tools/check/dist/hygiene.js",
  test: 'vitest run --root ../.. --passWithNoTests=false "$PWD/"',
};

/**
 * One line for each script that a package under `packages/`, which would be published, does not have.
 *
 * @param root - the workspace's root
 */
export function passedOver(root: string): readonly string[] {
  return readdirSync(join(root, "packages"))
    .map((name) => join("packages", name))
    .filter((folder) => existsSync(join(root, folder, "package.json")))
    .flatMap((folder) => problems(folder, readManifest(join(root, folder, "package.json"))));
}

function readManifest(file: string): Manifest {
  return JSON.parse(readFileSync(file, "utf8"));
}

function problems(folder: string, { private: isPrivate, scripts }: Manifest): readonly string[] {
  if (isPrivate === true) return [];
  return Object.entries(SCRIPTS)
    .filter(([name, script]) => scripts?.[name] !== script)
    .map(([name, script]) => `${folder}/package.json: the script "${name}" is not ${JSON.stringify(script)}`);
}
