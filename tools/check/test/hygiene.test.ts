/**
 * The step `hygiene` looks into every package that would be published.
 *
 * @module
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { workspaceRoot } from "@virtio-ts/terminal";
import { expect, onTestFinished, test } from "vitest";
import { steps } from "../src/steps.ts";
import { uninspected } from "../src/uninspected.ts";

/** A workspace of these manifests, by package; `null` is a folder without one. */
function workspace(manifests: Readonly<Record<string, object | null>>): string {
  const root = mkdtempSync(join(tmpdir(), "house-"));
  onTestFinished(() => rmSync(root, { recursive: true }));
  for (const [name, manifest] of Object.entries(manifests)) {
    mkdirSync(join(root, "packages", name), { recursive: true });
    if (manifest !== null) writeFileSync(join(root, "packages", name, "package.json"), JSON.stringify(manifest));
  }
  return root;
}

const inspected = { scripts: { hygiene: "node ../../tools/check/dist/hygiene.js" } };

test("every package of this workspace is inspected", () => {
  expect(uninspected(workspaceRoot())).toEqual([]);
});

test.each([
  ["no scripts", {}],
  ["scripts, but not this one", { scripts: { bench: "node bench/run.mjs" } }],
  ["one that does nothing", { scripts: { hygiene: "true" } }],
  ["an empty one", { scripts: { hygiene: "" } }],
])("a package with %s fails the step, and is named", async (_, manifest) => {
  const root = workspace({ memory: inspected, queue: manifest });
  const result = await steps.find(({ name }) => name === "hygiene")?.run(root);
  expect(result).toEqual({
    ok: false,
    output:
      'packages/queue/package.json: the script "hygiene" is not "node ../../tools/check/dist/hygiene.js": ' +
      "nobody looks into the package\n",
  });
});

test("a package that is not published, and a folder that is none, need no script", () => {
  expect(uninspected(workspace({ queue: inspected, notes: null, bench: { private: true } }))).toEqual([]);
});
