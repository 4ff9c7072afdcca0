import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { copySourcesForRelease, deb822ForRelease, listForRelease } from "../src/debian-sources.ts";

describe("package sources for another release", () => {
  it("keep mirror, components and keyring in the one-line format", () => {
    const text = [
      "# a comment",
      "deb http://mirror.example/debian trixie main contrib",
      "deb [arch=amd64 signed-by=/k.gpg] http://mirror.example/debian-security trixie-security main",
      "deb [arch=amd64] http://mirror.example/debian trixie-updates main",
      "deb http://mirror.example/flat ./",
    ].join("\n");
    expect(listForRelease(text, "bookworm").split("\n")).toEqual([
      "# a comment",
      "deb http://mirror.example/debian bookworm main contrib",
      "deb [signed-by=/k.gpg] http://mirror.example/debian-security bookworm-security main",
      "deb http://mirror.example/debian bookworm-updates main",
      "deb http://mirror.example/flat ./",
    ]);
  });

  it("keep mirror, components and keyring in the format with fields", () => {
    const text =
      "Types: deb\nURIs: http://mirror.example/debian\nSuites: trixie trixie-updates\nArchitectures: amd64\nSigned-By: /k.gpg\n";
    expect(deb822ForRelease(text, "bookworm")).toBe(
      "Types: deb\nURIs: http://mirror.example/debian\nSuites: bookworm bookworm-updates\nSigned-By: /k.gpg\n",
    );
  });

  it("are copied only from files that apt reads, and say whether anything changed", async () => {
    const directory = await mkdtemp(join(tmpdir(), "virtio-ts-test-"));
    try {
      const parts = join(directory, "parts");
      await mkdir(parts);
      const source = (suite: string): string =>
        `Types: deb\nURIs: http://mirror.example\nSuites: ${suite}\nComponents: main\n`;
      await writeFile(join(parts, "debian.sources"), source("trixie"));
      await writeFile(join(parts, "other.sources.disabled"), source("trixie"));
      const none = join(directory, "none");
      const copies = join(directory, "copies");
      expect(await copySourcesForRelease(none, parts, copies, "bookworm")).toBe(true);
      expect(await readdir(copies)).toEqual(["debian.sources"]);
      expect(await readFile(join(copies, "debian.sources"), "utf8")).toBe(source("bookworm"));
      expect(await copySourcesForRelease(none, copies, join(directory, "again"), "bookworm")).toBe(false);
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  });
});
