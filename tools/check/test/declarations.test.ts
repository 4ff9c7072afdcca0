/**
 * A declaration that needs a newer TypeScript than the README promises is found, and named.
 *
 * @module
 */
import { symlinkSync } from "node:fs";
import { join } from "node:path";
import { workspaceRoot } from "@virtio-ts/terminal";
import { expect, test } from "vitest";
import { compileDeclarations, type DeclarationsReport } from "../src/declarations.ts";
import { buildHouse } from "./house.ts";

/** Compiles a workspace of one package with this one declaration. */
function compile(declaration: string): Promise<DeclarationsReport> {
  const manifest = { name: "@virtio-ts/memory", type: "module", exports: { ".": { types: "./dist/index.d.ts" } } };
  const root = buildHouse({
    memory: { files: { "package.json": JSON.stringify(manifest), "dist/index.d.ts": `${declaration}\n` } },
  });
  symlinkSync(join(workspaceRoot(), "node_modules"), join(root, "node_modules"));
  return compileDeclarations(root);
}

test("a declaration that TypeScript 5.0 understands passes", async () => {
  expect(await compile("export declare function read(bytes: Uint8Array): number;")).toEqual({
    ok: true,
    output: "",
    entries: 1,
  });
});

test("an array with its buffer as a parameter, new in TypeScript 5.7, is named with its place", async () => {
  const { ok, output } = await compile("export declare function read(bytes: Uint8Array<ArrayBuffer>): number;");
  expect(ok).toBe(false);
  expect(output).toContain("dist/index.d.ts(1,37): error TS2315: Type 'Uint8Array' is not generic.");
});
