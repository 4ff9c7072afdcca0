/**
 * The packages of the workspace, as their manifests describe them.
 *
 * @module
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** What the rules need to know of one package. */
export interface WorkspacePackage {
  readonly name: string;
  /** Its folder, relative to the workspace's root, with `/`. */
  readonly folder: string;
  /** Its floor, declared in its manifest as `"virtio-ts": { "floor": n }`; undefined where that is missing. */
  readonly floor: number | undefined;
  /** The folders of its sources that may use Node, declared as `"virtio-ts": { "node": ["src/node"] }`. */
  readonly nodeFolders: readonly string[];
  /** The names in `dependencies` and `peerDependencies`. */
  readonly dependencies: ReadonlySet<string>;
  /** Each entry (`.`, `./device`) and its source file, relative to the package, such as `src/index.ts`. */
  readonly entries: ReadonlyMap<string, string>;
}

/** The part of a package.json that is read here. */
interface Manifest {
  readonly name: string;
  readonly dependencies?: Record<string, string>;
  readonly peerDependencies?: Record<string, string>;
  readonly exports?: Record<string, string | Record<string, string>>;
  readonly "virtio-ts"?: { readonly floor?: number; readonly node?: readonly string[] };
}

/** The export condition under which the workspace finds sources. */
const SOURCE_CONDITION = "virtio-ts-source";

/**
 * Reads every package under `packages/` and `tools/`.
 *
 * @param root - the workspace's root
 */
export function readPackages(root: string): WorkspacePackage[] {
  return ["packages", "tools"]
    .filter((group) => existsSync(join(root, group)))
    .flatMap((group) => readdirSync(join(root, group)).map((name) => `${group}/${name}`))
    .filter((folder) => existsSync(join(root, folder, "package.json")))
    .map((folder) => readPackage(root, folder));
}

function readPackage(root: string, folder: string): WorkspacePackage {
  const manifest: Manifest = JSON.parse(readFileSync(join(root, folder, "package.json"), "utf8"));
  const declared = manifest["virtio-ts"];
  return {
    name: manifest.name,
    folder,
    floor: declared?.floor,
    nodeFolders: declared?.node ?? [],
    dependencies: new Set(Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies })),
    entries: new Map(Object.entries(manifest.exports ?? {}).flatMap(sourceEntry)),
  };
}

function sourceEntry([entry, target]: [string, string | Record<string, string>]): [string, string][] {
  const source = typeof target === "string" ? undefined : target[SOURCE_CONDITION];
  return source === undefined ? [] : [[entry, source.replace("./", "")]];
}

/**
 * Whether a source file is in a part of its package that may use Node.
 *
 * @param owner - the package
 * @param file - the file, relative to the package
 */
export function mayUseNode(owner: WorkspacePackage, file: string): boolean {
  return owner.nodeFolders.some((folder) => file.startsWith(`${folder}/`));
}
