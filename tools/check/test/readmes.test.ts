/**
 * What a README shows is compiled as a reader's own module, and a message leads to the line that is wrong.
 *
 * @module
 */
import { readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { workspaceRoot } from "@virtio-ts/terminal";
import { describe, expect, test } from "vitest";
import { typeScriptBlocks } from "../src/readmes/blocks.ts";
import { compileReadmes, type ReadmesReport } from "../src/readmes/compile-readmes.ts";
import { type StepResult, steps } from "../src/steps.ts";
import { buildHouse } from "./house.ts";

const block = (...code: string[]): string => ["```ts", ...code, "```", ""].join("\n");

/** A workspace of one built package, `@virtio-ts/memory`, and these READMEs, by the package they are in. */
function house(readmes: Readonly<Record<string, string>>): string {
  const memory = {
    "dist/index.d.ts": "export declare function read(address: number, options?: { width?: number }): number;\n",
    "package.json": JSON.stringify({
      name: "@virtio-ts/memory",
      type: "module",
      exports: { ".": { "virtio-ts-source": "./src/index.ts", types: "./dist/index.d.ts" } },
    }),
  };
  const rooms = { memory: {}, ...readmes };
  const root = buildHouse(
    Object.fromEntries(
      Object.keys(rooms).map((name) => {
        const readme = readmes[name] === undefined ? {} : { "README.md": readmes[name] };
        return [name, { files: name === "memory" ? { ...memory, ...readme } : readme }];
      }),
    ),
  );
  symlinkSync(join(workspaceRoot(), "node_modules"), join(root, "node_modules"));
  return root;
}

const compile = (readmes: Readonly<Record<string, string>>): Promise<ReadmesReport> => compileReadmes(house(readmes));

test("what is shown of a package compiles against what is built of it", async () => {
  const report = await compile({
    memory: `# memory\n\n${block('import { read } from "@virtio-ts/memory";', "", "console.log(await read(0));")}`,
    queue: block('import { read } from "@virtio-ts/memory";', 'import { readFileSync } from "node:fs";', "read(1);"),
  });
  expect(report).toEqual({ ok: true, output: "", blocks: 2, broken: 0 });
});

test("a block that does not compile is named with its file, its line and the compiler's message", async () => {
  const { ok, output, blocks, broken } = await compile({
    memory: `# memory\n\nReads:\n\n${block('import { read } from "@virtio-ts/memory";', "", 'read("0");')}`,
    queue: `${block("export const a = 1;")}\nand\n\n${block("a + 1;", "b;")}`,
  });
  expect([ok, blocks, broken]).toEqual([false, 3, 2]);
  expect(output.trimEnd().split("\n").sort()).toEqual([
    "packages/memory/README.md:8:6: error TS2345: Argument of type 'string' is not assignable to parameter of type 'number'.",
    "packages/queue/README.md:8:1: error TS2304: Cannot find name 'a'.",
    "packages/queue/README.md:9:1: error TS2304: Cannot find name 'b'.",
  ]);
});

test("what a careful reader's project refuses is refused", async () => {
  const { output, broken } = await compile({
    memory: [
      block('new Map<string, number>().get("a").toFixed();'),
      block("export const f = (a) => a;"),
      block('import { read } from "@virtio-ts/memory";', "read(0, { width: undefined });"),
      block('import { PathLike } from "node:fs";', 'export const path: PathLike = "a";'),
      block('import "@virtio-ts/nowhere";'),
      block("export enum Color {", "  Red,", "}"),
    ].join(""),
  });
  const places = [...output.matchAll(/README\.md:(\d+):\d+: error (TS\d+)/g)].map(
    ([, line, code]) => `${line} ${code}`,
  );
  expect(places.sort()).toEqual([
    "12 TS1484", // a type imported as a value
    "16 TS2882", // a module that is not there
    "19 TS1294", // more than types
    "2 TS2532", // a value that may be undefined
    "5 TS7006", // a parameter without a type
    "9 TS2379", // undefined for an option that may be left out
  ]);
  expect(broken).toBe(6);
});

test("a syntax error is told as any other", async () => {
  const { output, broken } = await compile({ memory: block("const answer = ;"), queue: block("export {};") });
  expect([output, broken]).toEqual(["packages/memory/README.md:2:16: error TS1109: Expression expected.\n", 1]);
});

test("the README of the workspace is compiled too", async () => {
  const root = house({ memory: block("one;"), queue: block("export {};") });
  writeFileSync(join(root, "README.md"), block('import { read } from "@virtio-ts/memory";', "read(two);"));
  const { output, blocks, broken } = await compileReadmes(root);
  expect(output).toContain("README.md:3:6: error TS2304: Cannot find name 'two'.\n");
  expect([blocks, broken]).toEqual([3, 2]);
  writeFileSync(join(root, "README.md"), block("export {};"));
  expect(await compileReadmes(root)).toMatchObject({ blocks: 3, broken: 1 });
});

test("names that an example leaves unused are fine", async () => {
  const { ok } = await compile({ memory: block('import { read } from "@virtio-ts/memory";', "const value = 1;") });
  expect(ok).toBe(true);
});

test("a block that was mended is not compiled as it was", async () => {
  const root = house({ queue: `\n${block("one;")}` });
  expect(await compileReadmes(root)).toMatchObject({ blocks: 1, broken: 1 });
  writeFileSync(join(root, "packages/queue/README.md"), block("export {};"));
  expect(await compileReadmes(root)).toMatchObject({ ok: true, blocks: 1, broken: 0 });
});

test("a workspace that shows nothing fails: nobody would know that blocks are no longer found", async () => {
  expect(await compile({ memory: "# memory\n" })).toEqual({
    ok: false,
    output: "no README shows TypeScript\n",
    blocks: 0,
    broken: 0,
  });
});

describe("the step", () => {
  /** What the step says of two blocks, where this is the workspace's source. */
  function runStep(source: string): Promise<StepResult> | undefined {
    const root = house({ memory: block("one;"), queue: block("export {};") });
    writeFileSync(join(root, "tsconfig.json"), JSON.stringify({ compilerOptions: { noEmit: true }, files: ["a.ts"] }));
    writeFileSync(join(root, "a.ts"), source);
    return steps.find(({ name }) => name === "readmes")?.run(root);
  }

  test("says how many blocks there are, and how many do not compile", async () => {
    expect(await runStep("export const a: number = 1;\n")).toEqual({
      ok: false,
      output: "packages/memory/README.md:2:1: error TS2304: Cannot find name 'one'.\n",
      extent: "2 blocks, 1 broken",
    });
  });

  test("compiles nothing against packages that could not be built", async () => {
    expect(await runStep('export const a: number = "1";\n')).toEqual({
      ok: false,
      output: "nothing to compile against: the sources do not compile (step types)\n",
    });
  });
});

describe("the blocks of a README", () => {
  test.each([
    ["ts", "```ts\na;\nb;\n```\n", [{ line: 2, code: "a;\nb;" }]],
    ["typescript", "\n```typescript\na;\n```\n", [{ line: 3, code: "a;" }]],
    ["a title after the language", '```ts title="a.ts"\na;\n```\n', [{ line: 2, code: "a;" }]],
    ["tildes", "~~~ts\na;\n~~~\n", [{ line: 2, code: "a;" }]],
    ["a list's indent", "- so:\n\n  ```ts\n  a;\n  ```\n", [{ line: 4, code: "  a;" }]],
    ["a longer fence that shows a fence", "````ts\n`\n```\n`;\n````\n", [{ line: 2, code: "`\n```\n`;" }]],
    ["no end", "```ts\na;", [{ line: 2, code: "a;" }]],
    ["nothing in it", "```ts\n```\n", [{ line: 2, code: "" }]],
    ["another language", "```sh\na\n```\n", []],
    ["no language", "```\na\n```\n", []],
    ["a fence inside another block", "````md\n```ts\na;\n```\n````\n", []],
    ["a block before it", "```\na\n```\n```ts\nb;\n```\n", [{ line: 5, code: "b;" }]],
  ])("%s", (_, text, blocks) => {
    expect(typeScriptBlocks(text)).toEqual(blocks);
  });
});

test("the README of this project shows four", () => {
  expect(typeScriptBlocks(readFileSync(join(workspaceRoot(), "README.md"), "utf8")).length).toBe(4);
});
