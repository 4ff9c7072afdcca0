/**
 * The packages as they are published, in a copy of the repository; the repository itself stays as it is.
 *
 * @module
 */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bundlePackage } from "./bundle.ts";
import { type OwnerFacts, readManifest, withFacts } from "./facts.ts";
import { pnpm, run } from "./run.ts";

/**
 * Makes a copy of the last commit in which the changesets have become versions and changelogs (that much is in git's
 * index), every package is built and bundled, and the facts stand in every manifest.
 *
 * @param root - the workspace's root
 * @param facts - the owner's facts
 * @param use - called with the copy's folder, which is gone when it is done
 */
export async function withReleaseCopy<T>(
  root: string,
  facts: OwnerFacts,
  use: (copy: string) => Promise<T>,
): Promise<T> {
  const copy = mkdtempSync(join(tmpdir(), "virtio-ts-release-"));
  try {
    await run(root, ["git", "clone", "--quiet", root, copy]);
    await pnpm(copy, "install", "--frozen-lockfile", "--prefer-offline");
    await pnpm(copy, "exec", "changeset", "version");
    await run(copy, ["git", "add", "--all"]);
    await pnpm(copy, "build");
    for (const name of readdirSync(join(copy, "packages"))) await finish(copy, `packages/${name}`, facts);
    return await use(copy);
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
}

async function finish(copy: string, folder: string, facts: OwnerFacts): Promise<void> {
  const path = join(copy, folder);
  await bundlePackage(path);
  writeFileSync(
    join(path, "package.json"),
    `${JSON.stringify(withFacts(readManifest(path), facts, folder), null, 2)}\n`,
  );
}
