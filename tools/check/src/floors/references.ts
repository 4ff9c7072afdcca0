/**
 * The compiler's view of the house must be the manifests': a package's tsconfig references exactly its workspace
 * dependencies, and the root's references every project.
 *
 * @module
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, posix } from "node:path";
import type { WorkspacePackage } from "./workspace-package.ts";

/** The part of a tsconfig that is read here. */
interface Project {
  readonly references?: readonly { readonly path: string }[];
}

/**
 * Compares references with dependencies.
 *
 * @param root - the workspace's root
 * @param packages - its packages
 * @returns one message for each difference
 */
export function referenceProblems(root: string, packages: readonly WorkspacePackage[]): string[] {
  const problems: string[] = [];
  const byFolder = new Map(packages.map((one) => [one.folder, one]));
  const rootReferences = new Set(projectReferences(root, "tsconfig.json"));
  for (const owner of packages) {
    const projects = projectFiles(root, owner);
    for (const file of projects.filter((file) => !rootReferences.has(file))) {
      problems.push(`tsconfig.json: no reference to ${file} — rule references`);
    }
    const referenced = new Set(projects.flatMap((file) => projectReferences(root, file)).map(posix.dirname));
    const expected = packages.filter((other) => owner.dependencies.has(other.name)).map((other) => other.folder);
    for (const folder of expected.filter((folder) => !referenced.has(folder))) {
      problems.push(
        `${owner.folder}/tsconfig.json: no reference to ${folder}, which is a dependency — rule references`,
      );
    }
    for (const folder of referenced) {
      if (folder === owner.folder || expected.includes(folder)) continue;
      const name = byFolder.get(folder)?.name ?? folder;
      problems.push(`${owner.folder}/tsconfig.json: ${name} is referenced but not a dependency — rule references`);
    }
  }
  return problems;
}

/** The tsconfig files of a package, relative to the root. */
function projectFiles(root: string, { folder }: WorkspacePackage): string[] {
  return readdirSync(join(root, folder))
    .filter((file) => /^tsconfig(\.\w+)?\.json$/.test(file))
    .map((file) => `${folder}/${file}`);
}

/** The tsconfig files that one references, relative to the root. */
function projectReferences(root: string, file: string): string[] {
  if (!existsSync(join(root, file))) return [];
  const project: Project = JSON.parse(readFileSync(join(root, file), "utf8"));
  return (project.references ?? []).map(({ path }) => {
    const target = posix.join(posix.dirname(file), path);
    return target.endsWith(".json") ? target : posix.join(target, "tsconfig.json");
  });
}
