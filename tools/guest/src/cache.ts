/**
 * A cache folder that several processes may use at once: whatever has its final name is complete, because it was
 * written under another name first and renamed.
 *
 * @module
 */
import { randomBytes } from "node:crypto";
import { mkdir, mkdtemp, readdir, rename, rm, stat, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join } from "node:path";

const TEMPORARY = "tmp-";
/** Leftovers of killed processes are removed after this time. */
const STALE_MS = 24 * 3600 * 1000;

/** `$XDG_CACHE_HOME/virtio-ts`, or `~/.cache/virtio-ts`. */
export function defaultCacheDir(): string {
  return join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "virtio-ts");
}

/** Writes a file so that no other process ever sees half of it. `chunks` are written one after the other. */
export async function writeFileAtomically(path: string, ...chunks: Uint8Array[]): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const temporary = join(dirname(path), `${TEMPORARY}${process.pid}-${randomBytes(6).toString("hex")}`);
  try {
    await writeFile(temporary, chunks);
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

/**
 * Makes a folder so that no other process ever sees half of it: `fill` gets an empty folder, which then takes the
 * place of `path`. When another process was faster and its folder is `usable`, that one stays and ours is thrown away.
 */
export async function makeDirectoryAtomically(
  path: string,
  fill: (directory: string) => Promise<void>,
  usable: (directory: string) => Promise<boolean>,
): Promise<void> {
  const parent = dirname(path);
  await mkdir(parent, { recursive: true });
  await removeStale(parent);
  const temporary = await mkdtemp(join(parent, `${TEMPORARY}${process.pid}-`));
  const unusable = `${temporary}-old`;
  try {
    await fill(temporary);
    const renamed = await tryRename(temporary, path);
    if (renamed || (await usable(path))) return;
    await tryRename(path, unusable);
    await tryRename(temporary, path);
  } finally {
    await rm(temporary, { recursive: true, force: true });
    await rm(unusable, { recursive: true, force: true });
  }
}

/** Renames a folder; false when something is there already, or nothing is to be renamed. */
async function tryRename(from: string, to: string): Promise<boolean> {
  try {
    await rename(from, to);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOTEMPTY" || code === "EEXIST" || code === "ENOTDIR" || code === "ENOENT") return false;
    throw error;
  }
}

/** Deletes all but the `keep` files that were used last (by modification time) among those ending in `suffix`. */
export async function pruneFiles(directory: string, suffix: string, keep: number): Promise<void> {
  const files: { path: string; time: number }[] = [];
  for (const name of await readdir(directory)) {
    if (!name.endsWith(suffix)) continue;
    const path = join(directory, name);
    const time = (await stat(path).catch(() => undefined))?.mtimeMs;
    if (time !== undefined) files.push({ path, time });
  }
  files.sort((a, b) => b.time - a.time);
  for (const { path } of files.slice(keep)) await rm(path, { force: true });
}

async function removeStale(directory: string): Promise<void> {
  for (const name of await readdir(directory)) {
    if (!name.startsWith(TEMPORARY)) continue;
    const path = join(directory, name);
    const age = Date.now() - ((await stat(path).catch(() => undefined))?.mtimeMs ?? Date.now());
    if (age > STALE_MS) await rm(path, { recursive: true, force: true });
  }
}
