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
import { passedOver } from "../src/passed-over.ts";
import { steps } from "../src/steps.ts";

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

const whole = {
  hygiene: "node ../../tools/check/dist/hygiene.js",
  test: 'vitest run --root ../.. --passWithNoTests=false "$PWD/"',
};
const inspected = { scripts: whole };

test("every package of this workspace is inspected and tested by turbo", () => {
  expect(passedOver(workspaceRoot())).toEqual([]);
});

const NO_HYGIENE =
  'packages/queue/package.json: the script "hygiene" is not "node ../../tools/check/dist/hygiene.js"\n';
const NO_TEST =
  'packages/queue/package.json: the script "test" is not ' +
  '"vitest run --root ../.. --passWithNoTests=false \\"$PWD/\\""\n';

test.each([
  ["no scripts", {}, NO_HYGIENE + NO_TEST],
  ["scripts, but not these", { scripts: { bench: "node bench/run.mjs" } }, NO_HYGIENE + NO_TEST],
  ["an inspection that does nothing", { scripts: { ...whole, hygiene: "true" } }, NO_HYGIENE],
  ["an empty one", { scripts: { ...whole, hygiene: "" } }, NO_HYGIENE],
  ["no test", { scripts: { hygiene: whole.hygiene } }, NO_TEST],
])("a package with %s fails the step, and is named", async (_, manifest, output) => {
  const root = workspace({ memory: inspected, queue: manifest });
  const result = await steps.find(({ name }) => name === "hygiene")?.run(root);
  expect(result).toEqual({ ok: false, output });
});

test("a package that is not published, and a folder that is none, need no script", () => {
  expect(passedOver(workspace({ queue: inspected, notes: null, bench: { private: true } }))).toEqual([]);
});
