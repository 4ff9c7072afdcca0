/**
 * Reads every source file of the workspace and holds each import against the rules of the house.
 *
 * @module
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, sep } from "node:path";
import { importSites } from "./imports.ts";
import { referenceProblems } from "./references.ts";
import { importRules } from "./rules.ts";
import { readPackages, type WorkspacePackage } from "./workspace-package.ts";

/** What the check saw. */
export interface FloorsReport {
  /** How many source files were read. */
  readonly files: number;
  /** One message for each violation: file:line, import, rule and reason. */
  readonly problems: readonly string[];
}

/**
 * Checks a workspace.
 *
 * @param root - its root folder
 */
export function checkFloors(root: string): FloorsReport {
  const packages = readPackages(root);
  const byName = new Map(packages.map((one) => [one.name, one]));
  const problems = packages.filter((one) => one.floor === undefined).map(missingFloor);
  let files = 0;
  for (const owner of packages) {
    for (const file of sourceFiles(root, owner)) {
      files++;
      const text = readFileSync(join(root, owner.folder, file), "utf8");
      for (const { specifier, line } of importSites(file, text)) {
        const fact = { owner, file, specifier, packages: byName };
        for (const [name, rule] of Object.entries(importRules)) {
          const reason = rule(fact);
          if (reason === undefined) continue;
          problems.push(`${owner.folder}/${file}:${line}: import "${specifier}" — rule ${name}: ${reason}`);
        }
      }
    }
  }
  problems.push(...referenceProblems(root, packages));
  return { files, problems };
}

function missingFloor({ folder }: WorkspacePackage): string {
  return `${folder}/package.json: no floor — rule floor: declare it as "virtio-ts": { "floor": n }`;
}

/** The TypeScript files under `src`, relative to the package, with `/`. */
function sourceFiles(root: string, { folder }: WorkspacePackage): string[] {
  const source = join(root, folder, "src");
  if (!existsSync(source)) return [];
  return readdirSync(source, { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".ts"))
    .map((file) => `src/${file.split(sep).join("/")}`)
    .sort();
}
