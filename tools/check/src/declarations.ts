/**
 * Compiles the declarations of every package with the oldest TypeScript that the README promises, as a user does whose
 * project looks into its libraries (`skipLibCheck` off).
 *
 * The project is `.cache/declarations`: every package of the workspace is installed in it, as it is built, and one module
 * imports each of their entries.
 *
 * @module
 */
import { mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { type CommandResult, runCommand } from "@virtio-ts/terminal";
import { readPackages } from "./floors/workspace-package.ts";

/** What the check saw. */
export interface DeclarationsReport extends CommandResult {
  /** How many entries of packages there are. */
  readonly entries: number;
}

const require = createRequire(import.meta.url);

const compilerOptions = {
  target: "es2022",
  lib: ["es2022"],
  module: "nodenext",
  types: ["node"],
  strict: true,
  skipLibCheck: false,
  noEmit: true,
};

/**
 * Compiles a module that imports every entry of every published package.
 *
 * @param root - the workspace's root; its packages are built
 * @returns the compiler's messages, and how many entries it saw
 */
export async function compileDeclarations(root: string): Promise<DeclarationsReport> {
  const project = join(root, ".cache/declarations");
  rmSync(project, { recursive: true, force: true });
  const packages = readPackages(root).filter(({ folder }) => folder.startsWith("packages/"));
  for (const { name, folder } of packages) link(join(root, folder), join(project, "node_modules", name));
  const entries = packages.flatMap(({ name, folder }) =>
    entriesOf(join(root, folder)).map((entry) => name + entry.slice(1)),
  );
  const imports = entries.map((entry, index) => `export * as entry${index} from "${entry}";\n`).join("");
  writeFileSync(join(project, "index.ts"), imports);
  writeFileSync(join(project, "package.json"), JSON.stringify({ private: true, type: "module" }));
  writeFileSync(join(project, "tsconfig.json"), JSON.stringify({ compilerOptions, files: ["index.ts"] }));
  const compiler = require.resolve("typescript-oldest/lib/tsc.js");
  const { ok, output } = await runCommand(["node", compiler, "-p", project, "--pretty", "false"], { cwd: root });
  return { ok, output, entries: entries.length };
}

function entriesOf(folder: string): readonly string[] {
  const { exports } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as { exports?: object };
  return Object.keys(exports ?? {}).filter((entry) => !entry.endsWith(".json"));
}

function link(target: string, path: string): void {
  mkdirSync(dirname(path), { recursive: true });
  symlinkSync(target, path, "dir");
}
