/**
 * The owner's facts: one place to fill in, every manifest that has them, no release without them.
 *
 * @module
 */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { workspaceRoot } from "@virtio-ts/terminal";
import { describe, expect, onTestFinished, test } from "vitest";
import { emptyFacts, readFacts, withFacts } from "../src/facts.ts";

const facts = {
  repository: "https://code.example/house.git",
  homepage: "https://house.example",
  bugs: "https://code.example/house/issues",
  author: "The Owner",
};

/** A git repository with a workspace of this manifest in it, and nothing committed. */
function repository(manifest: object): string {
  const root = mkdtempSync(join(tmpdir(), "house-"));
  onTestFinished(() => rmSync(root, { recursive: true }));
  execFileSync("git", ["init", "--quiet", root]);
  writeFileSync(join(root, "pnpm-workspace.yaml"), "packages:\n  - packages/*\n");
  writeFileSync(join(root, "package.json"), JSON.stringify(manifest));
  return root;
}

/** `pnpm release` in a workspace, built as pnpm builds it. */
function release(root: string): { status: number | null; stdout: string; stderr: string } {
  const here = workspaceRoot(fileURLToPath(new URL(".", import.meta.url)));
  execFileSync(join(here, "node_modules/.bin/tsc"), ["-b", "tools/release"], { cwd: here });
  return spawnSync(process.execPath, [join(here, "tools/release/dist/main.js")], { cwd: root, encoding: "utf8" });
}

test("a manifest gets the facts, and the package's place in the repository", () => {
  expect(withFacts({ name: "memory", author: "nobody" }, facts, "packages/memory")).toEqual({
    name: "memory",
    repository: { type: "git", url: "https://code.example/house.git", directory: "packages/memory" },
    homepage: "https://house.example",
    bugs: { url: "https://code.example/house/issues" },
    author: "The Owner",
  });
});

test("a fact that is empty is left out", () => {
  const some = { ...facts, repository: "", author: " " };
  expect(withFacts({ name: "memory" }, some, "packages/memory")).toEqual({
    name: "memory",
    homepage: "https://house.example",
    bugs: { url: "https://code.example/house/issues" },
  });
});

test("facts that the root does not have are empty", () => {
  const root = repository({ name: "house", homepage: "https://house.example" });
  expect(readFacts(root)).toEqual({ repository: "", homepage: "https://house.example", bugs: "", author: "" });
  expect(emptyFacts(readFacts(root))).toEqual(["repository", "bugs", "author"]);
});

describe("a release is refused", () => {
  test("while a fact is empty", () => {
    const { status, stdout, stderr } = release(repository({ ...facts, bugs: "", author: "" }));
    expect(stderr).toBe("nothing is published: package.json has no bugs, author; fill in what is empty there\n");
    expect([status, stdout]).toEqual([1, ""]);
  });

  test("while something is not committed", () => {
    const { status, stdout, stderr } = release(repository(facts));
    expect(stderr).toBe(
      "nothing is published: commit what is changed here, for a release is made of the last commit\n",
    );
    expect([status, stdout]).toEqual([1, ""]);
  });
});
