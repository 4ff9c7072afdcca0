/** A reason outlives its line easily: the entry is then nobody's, or excuses another mutant. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { workspaceRoot } from "@virtio-ts/terminal";
import { describe, expect, test } from "vitest";
import { readExplained } from "../src/explained.ts";

const root = workspaceRoot();
const names = readdirSync(join(root, "packages"));

describe.each(names)("each mutant of %s that is explained", (name) => {
  test("stands in a line of its sources", () => {
    const lost = readExplained(root, name).filter(({ file, line }) => {
      const path = join(root, file);
      return (
        !existsSync(path) ||
        !readFileSync(path, "utf8")
          .split("\n")
          .some((text) => text.trim() === line)
      );
    });
    expect(lost).toEqual([]);
  });
});
