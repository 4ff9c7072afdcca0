/**
 * What a test sees of a peer: its path, a skip, or a failure that says what to install.
 *
 * @module
 */
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { debianPackageOf, findProgram, hasPeers, PeerMissingError, peer } from "../src/peers.ts";

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "peers-"));
});

afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
});

function program(name: string, mode: number): string {
  const file = join(folder, name);
  writeFileSync(file, "#!/bin/sh\n");
  chmodSync(file, mode);
  return file;
}

describe("findProgram", () => {
  test("finds an executable file in a folder of the path", () => {
    const file = program("prober", 0o755);
    expect(findProgram("prober", `/nowhere:${folder}`)).toBe(file);
  });

  test("finds neither a file that may not be executed nor a folder", () => {
    program("prober", 0o644);
    expect(findProgram("prober", folder)).toBeUndefined();
    expect(findProgram(".", folder)).toBeUndefined();
  });
});

describe("peer", () => {
  test("returns the path of a program that is there", () => {
    const file = program("tshark", 0o755);
    vi.stubEnv("PATH", folder);
    expect(peer("tshark")).toBe(file);
  });

  test("fails, naming the Debian package, where peers are required and one is missing", () => {
    const missing = new PeerMissingError("tshark");
    expect(missing.message).toBe("tshark is not on PATH: apt-get install tshark");
    vi.stubEnv("PATH", folder);
    vi.stubEnv("VIRTIO_TS_REQUIRE_PEERS", "1");
    expect(() => peer("tshark")).toThrow(missing);
    expect(hasPeers("tshark")).toBe(true);
  });

  test("without the promise a suite that needs a missing peer does not run", () => {
    vi.stubEnv("PATH", folder);
    vi.stubEnv("VIRTIO_TS_REQUIRE_PEERS", "");
    expect(hasPeers("tshark")).toBe(false);
  });
});

test("the continuous integration installs every peer's package", () => {
  const script = readFileSync(new URL("../../../.ci/run", import.meta.url), "utf8");
  const installed = /^peers="([^"]*)"$/m.exec(script)?.[1]?.split(" ");
  expect(installed).toEqual(expect.arrayContaining(Object.values(debianPackageOf)));
});
