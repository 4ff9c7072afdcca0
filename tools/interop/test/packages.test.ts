/**
 * The packages as users install them: published in a registry, installed by npm in projects that know nothing of this
 * workspace, run by each runtime that the README promises. What is published is made of the last commit.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { workspaceRoot } from "@virtio-ts/terminal";
import { build } from "vite";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { RUNTIMES, runtimeProgram } from "../src/runtimes.ts";
import { type Manifest, Project } from "./support/project.ts";
import { type Registry, registryWithPackages } from "./support/registry.ts";

const root = workspaceRoot();

/** A package, and what `uses/<package>.ts` prints. */
const WANTED = [
  ["vm-memory", "1234"],
  ["virtio-queue", "true 3"],
  ["virtio-net", "525400123456 1"],
  ["vmm-glue", "10441af4"],
] as const;

/** A package and, by the manifests of this workspace, all that it needs of ours. */
function withDependencies(name: string, found: Set<string> = new Set()): readonly string[] {
  const { dependencies = {} } = JSON.parse(readFileSync(join(root, "packages", name, "package.json"), "utf8"));
  found.add(name);
  for (const needed of Object.keys(dependencies)) withDependencies(needed.replace("@virtio-ts/", ""), found);
  return [...found].sort();
}

/** What `uses/NAME.ts` is, which is JavaScript as well. */
function sourceOf(name: string): string {
  return readFileSync(new URL(`uses/${name}.ts`, import.meta.url), "utf8");
}

/** The names by which a package's modules are imported. */
function entriesOf({ name, exports }: Manifest): readonly string[] {
  return Object.keys(exports)
    .filter((entry) => !entry.endsWith(".json"))
    .map((entry) => name + entry.slice(1));
}

let registry: Registry;

beforeAll(async () => {
  registry = await registryWithPackages();
});
afterAll(() => registry?.close());

describe.each(WANTED)("%s in a fresh project", (name, printed) => {
  const source = sourceOf(name);
  let project: Project;

  beforeAll(async () => {
    project = await Project.with(registry.npmrc, [`@virtio-ts/${name}`]);
  });
  afterAll(() => project?.remove());

  test("comes with what it needs, and nothing else", () => {
    expect(project.list("node_modules")).toEqual(["@virtio-ts"]);
    expect(project.list("node_modules/@virtio-ts")).toEqual(withDependencies(name));
  });

  test("bears its owner's facts, a version and a changelog", () => {
    expect(project.manifest(`@virtio-ts/${name}`)).toMatchObject({
      version: expect.stringMatching(/^[01]\.[1-9]\d*\.\d+$/),
      repository: { type: "git", url: "https://code.example/house.git", directory: `packages/${name}` },
      homepage: "https://house.example",
      bugs: { url: "https://code.example/house/issues" },
      author: "The Owner",
    });
    expect(project.list(`node_modules/@virtio-ts/${name}`)).toContain("CHANGELOG.md");
  });

  test("is imported", async () => {
    project.write("imported.js", source);
    expect(await project.run(process.execPath, "imported.js")).toBe(`${printed}\n`);
  });

  test("is required", async () => {
    project.write("required.cjs", source.replace(/^import (.*) from (".*");$/gm, "const $1 = require($2);"));
    expect(await project.run(process.execPath, "required.cjs")).toContain(`${printed}\n`);
  });

  test("compiles in a strict project that looks into its libraries", async () => {
    project.write("strict.ts", source);
    const options = ["--strict", "--skipLibCheck", "false", "--noEmit", "--target", "es2023", "--module", "nodenext"];
    await project.run(join(root, "node_modules/.bin/tsc"), ...options, "strict.ts");
  });

  test("is bundled by vite", async () => {
    project.write("bundled.js", source);
    const input = `${project.folder}/bundled.js`;
    await build({
      root: project.folder,
      logLevel: "warn",
      build: { rolldownOptions: { input, output: { entryFileNames: "out.js" } } },
    });
    expect(await project.run(process.execPath, "dist/out.js")).toBe(`${printed}\n`);
  });
});

describe("every entry of every package", () => {
  const printed = ["true 3", "mapped 123", "tcp hello", "udp hello"];
  let project: Project;

  beforeAll(async () => {
    const packages = readdirSync(join(root, "packages")).map((name) => `@virtio-ts/${name}`);
    project = await Project.with(registry.npmrc, packages);
    const entries = packages.flatMap((name) => entriesOf(project.manifest(name)));
    const uses = ["virtio-queue", "host-linux", "host-sockets"];
    for (const name of uses) project.write(`${name}.js`, sourceOf(name));
    const lines = entries.map(
      (entry) => `if (Object.keys(await import("${entry}")).length === 0) console.log("${entry}");`,
    );
    project.write("all.js", [...lines, ...uses.map((name) => `await import("./${name}.js");`)].join("\n"));
  });
  afterAll(() => project?.remove());

  test.each(RUNTIMES)("works in $source", async (runtime) => {
    const program = await runtimeProgram(runtime);
    const [version] = /[\d.]+/.exec(await project.run(program, "--version")) ?? [];
    expect(`${runtime.program}@${version}`).toContain(`${runtime.source}.`);
    const lines = (await project.run(program, ...runtime.args, "all.js")).trim().split("\n");
    // Deno's sockets share no port, as UDP to services of the host itself needs it.
    expect(lines).toEqual(runtime.program === "deno" ? [...printed.slice(0, -1), "udp failed"] : printed);
  });
});
