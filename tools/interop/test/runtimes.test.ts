/** A runtime that can't be fetched fails the test that needs it, where peers are required. */
import { chmodSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { RUNTIMES, RuntimeMissingError, runtimeProgram } from "../src/runtimes.ts";

let folder: string;

/** An npm that does this instead of installing. */
function npm(script: string): void {
  writeFileSync(join(folder, "npm"), `#!/bin/sh\n${script}\n`);
  chmodSync(join(folder, "npm"), 0o755);
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "runtimes-"));
  vi.stubEnv("PATH", `${folder}:${process.env.PATH}`);
  vi.stubEnv("XDG_CACHE_HOME", folder);
  vi.stubEnv("VIRTIO_TS_REQUIRE_PEERS", "1");
});

afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
});

test("it says which, and what npm said, and leaves nothing in the cache", async () => {
  npm("echo npm error code ENOTFOUND >&2; exit 1");
  const failed = runtimeProgram(RUNTIMES[0]);
  await expect(failed).rejects.toThrow(RuntimeMissingError);
  await expect(failed).rejects.toThrow(
    "node@20 can't be had: Command failed: npm install --no-audit --no-fund node@20: npm error code ENOTFOUND",
  );
  expect(readdirSync(join(folder, "virtio-ts"))).toEqual([]);
});

test("one that is there is not fetched again", async () => {
  npm("mkdir -p node_modules/.bin; touch node_modules/.bin/node");
  const program = await runtimeProgram(RUNTIMES[0]);
  expect(program).toBe(join(folder, "virtio-ts/runtime-node@20/node_modules/.bin/node"));
  npm("exit 1");
  expect(await runtimeProgram(RUNTIMES[0])).toBe(program);
});
