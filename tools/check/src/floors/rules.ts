/**
 * The rules of the house for one import. Each rule answers with what is wrong, or undefined.
 *
 * @module
 */
import { isBuiltin } from "node:module";
import { posix } from "node:path";
import { mayUseNode, type WorkspacePackage } from "./workspace-package.ts";

/** One import, and where it stands. */
export interface ImportFact {
  readonly owner: WorkspacePackage;
  /** The importing file, relative to its package, such as `src/device/queue.ts`. */
  readonly file: string;
  readonly specifier: string;
  /** Every package of the workspace, by name. */
  readonly packages: ReadonlyMap<string, WorkspacePackage>;
}

/** A rule: undefined where the import keeps it, else the reason why not. */
export type Rule = (fact: ImportFact) => string | undefined;

/** The scope of this workspace's packages. */
const SCOPE = "@virtio-ts/";

/** The rules by the names that messages carry. */
export const importRules: Readonly<Record<string, Rule>> = {
  floor: floorRule,
  declared: declaredRule,
  inside: insideRule,
  halves: halvesRule,
  browser: browserRule,
};

/** A package imports only from floors below its own. */
function floorRule({ owner, specifier, packages }: ImportFact): string | undefined {
  const target = packages.get(packageOf(specifier) ?? "");
  if (target?.floor === undefined || owner.floor === undefined || target.floor < owner.floor) return undefined;
  return `${target.name} is on floor ${target.floor}, ${owner.name} on floor ${owner.floor}; a package imports only from floors below its own`;
}

/** A package imports only what its manifest names. */
function declaredRule({ owner, specifier }: ImportFact): string | undefined {
  const name = packageOf(specifier);
  if (name === undefined || owner.dependencies.has(name)) return undefined;
  return `${name} is not in the dependencies of ${owner.name}`;
}

/** A relative import stays in the package's sources. */
function insideRule(fact: ImportFact): string | undefined {
  const target = relativeTarget(fact);
  if (target === undefined || target.startsWith("src/")) return undefined;
  return `a relative import stays in src; another package is imported by its name`;
}

/** The device half and the driver half share only the layout, and the layout knows neither. */
function halvesRule(fact: ImportFact): string | undefined {
  const from = roomOf(fact.file);
  const to = roomOf(relativeTarget(fact) ?? "");
  if (from === undefined || to === undefined || from === to || to === "layout") return undefined;
  return `src/${from} never imports src/${to}; what both halves need is in src/layout`;
}

/** Sources run in a browser unless the manifest gives their folder to Node. */
function browserRule(fact: ImportFact): string | undefined {
  const { owner, file, specifier, packages } = fact;
  if (mayUseNode(owner, file)) return undefined;
  const needsNode =
    isBuiltin(specifier) ||
    mayUseNode(owner, relativeTarget(fact) ?? "") ||
    isNodeEntry(packages.get(packageOf(specifier) ?? ""), specifier);
  return needsNode ? `${file} runs in a browser: it imports nothing that needs Node` : undefined;
}

function isNodeEntry(target: WorkspacePackage | undefined, specifier: string): boolean {
  if (target === undefined) return false;
  const source = target.entries.get(`.${specifier.slice(target.name.length)}`);
  return source !== undefined && mayUseNode(target, source);
}

/** The package that a bare specifier names; undefined for relative ones and Node's own modules. */
function packageOf(specifier: string): string | undefined {
  if (specifier.startsWith(".") || (isBuiltin(specifier) && !specifier.startsWith(SCOPE))) return undefined;
  return specifier.split("/", specifier.startsWith("@") ? 2 : 1).join("/");
}

/** Where a relative import leads, relative to the package; undefined for a bare specifier. */
function relativeTarget({ file, specifier }: ImportFact): string | undefined {
  return specifier.startsWith(".") ? posix.join(posix.dirname(file), specifier) : undefined;
}

/** The room a source file is in. */
function roomOf(file: string): string | undefined {
  return /^src\/(layout|device|driver)(?:\/|\.ts$)/.exec(file)?.[1];
}
