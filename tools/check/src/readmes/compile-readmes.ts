/**
 * Compiles what the READMEs show, as a reader does who copies it into a project of their own.
 *
 * The project is `.cache/readmes`: every package of the workspace is installed in it, as it is built, and each code block
 * is a module of its own. One run of the compiler sees them all.
 *
 * @module
 */
import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { type CommandResult, runCommand } from "@virtio-ts/terminal";
import { readPackages } from "../floors/workspace-package.ts";
import { typeScriptBlocks } from "./blocks.ts";

/** What the check saw. */
export interface ReadmesReport extends CommandResult {
  /** How many code blocks there are. */
  readonly blocks: number;
  /** How many of them do not compile. Where one has an error of syntax, the compiler says nothing of types. */
  readonly broken: number;
}

/** What a careful user's project asks for: as this repository, but names that an example leaves unused are fine. */
const compilerOptions = {
  target: "es2023",
  lib: ["es2023"],
  module: "nodenext",
  types: ["node"],
  strict: true,
  exactOptionalPropertyTypes: true,
  noImplicitOverride: true,
  noImplicitReturns: true,
  noFallthroughCasesInSwitch: true,
  erasableSyntaxOnly: true,
  verbatimModuleSyntax: true,
  moduleDetection: "force",
  skipLibCheck: true,
  noEmit: true,
};

/**
 * Compiles every TypeScript block of the READMEs of the workspace and of its packages, against the packages' `dist`.
 *
 * @param root - the workspace's root; its packages are built
 * @returns the compiler's messages, each with file and line of the README, and the numbers of blocks
 */
export async function compileReadmes(root: string): Promise<ReadmesReport> {
  const project = join(root, ".cache/readmes");
  rmSync(project, { recursive: true, force: true });
  const packages = readPackages(root);
  for (const { name, folder } of packages) link(join(root, folder), join(project, "node_modules", name));
  const files = [".", ...packages.map(({ folder }) => folder)].flatMap((folder) => writeBlocks(root, folder, project));
  writeJson(join(project, "package.json"), { private: true, type: "module" });
  writeJson(join(project, "tsconfig.json"), { compilerOptions, files });
  if (files.length === 0) return { ok: false, output: "no README shows TypeScript\n", blocks: 0, broken: 0 };
  const { ok, output } = await runCommand(["tsc", "-p", project, "--pretty", "false"], { cwd: project });
  const broken = new Set(Array.from(output.matchAll(/^(\S+\.ts)\(/gm), ([, file]) => file)).size;
  return { ok, output: output.replace(/\.\d+\.ts\((\d+),(\d+)\)/g, ":$1:$2"), blocks: files.length, broken };
}

/** Writes the blocks of one folder's README, each on the lines that it has there. */
function writeBlocks(root: string, folder: string, project: string): string[] {
  const readme = join(folder, "README.md");
  if (!existsSync(join(root, readme))) return [];
  const dependencies = join(root, folder, "node_modules");
  if (folder !== "." && existsSync(dependencies)) link(dependencies, join(project, folder, "node_modules"));
  return typeScriptBlocks(readFileSync(join(root, readme), "utf8")).map(({ line, code }) => {
    const file = `${readme}.${line}.ts`;
    write(join(project, file), `${"\n".repeat(line - 1)}${code}\n`);
    return file;
  });
}

function link(target: string, path: string): void {
  mkdirSync(dirname(path), { recursive: true });
  symlinkSync(target, path, "dir");
}

function writeJson(file: string, value: unknown): void {
  write(file, JSON.stringify(value));
}

function write(file: string, text: string): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
}
