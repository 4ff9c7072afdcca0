/**
 * What the owner of the project says of it, once, in the manifest of the workspace's root; every package that is
 * published bears it.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";

/** The owner's facts, in npm's words. */
export interface OwnerFacts {
  /** URL of the git repository. */
  readonly repository: string;
  /** URL of the project's page. */
  readonly homepage: string;
  /** URL where faults are reported. */
  readonly bugs: string;
  /** A name; `<mail>` and `(url)` may follow. */
  readonly author: string;
}

const NAMES = ["repository", "homepage", "bugs", "author"] as const;

/**
 * Reads the facts.
 *
 * @param root - the workspace's root
 * @returns what its `package.json` says; a fact that it does not have is empty
 */
export function readFacts(root: string): OwnerFacts {
  const { repository = "", homepage = "", bugs = "", author = "" } = readManifest(root) as Partial<OwnerFacts>;
  return { repository, homepage, bugs, author };
}

/**
 * The names of the facts that are empty.
 *
 * @param facts - the owner's facts
 */
export function emptyFacts(facts: OwnerFacts): readonly string[] {
  return NAMES.filter((name) => facts[name].trim() === "");
}

/**
 * The manifest of a package as it is published: with the facts in it, but those that are empty.
 *
 * @param manifest - what its `package.json` says
 * @param facts - the owner's facts
 * @param folder - the package's folder in the repository, such as `packages/vm-memory`
 */
export function withFacts(manifest: object, facts: OwnerFacts, folder: string): object {
  const empty = emptyFacts(facts);
  const said = {
    repository: { type: "git", url: facts.repository, directory: folder },
    homepage: facts.homepage,
    bugs: { url: facts.bugs },
    author: facts.author,
  };
  return { ...manifest, ...Object.fromEntries(Object.entries(said).filter(([name]) => !empty.includes(name))) };
}

/**
 * Reads a `package.json`.
 *
 * @param folder - the folder it is in
 */
export function readManifest(folder: string): object {
  return JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
}
