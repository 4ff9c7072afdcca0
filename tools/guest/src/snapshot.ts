/**
 * Snapshots of booted guests in the cache: one file each, a short header and v86's state.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { open, rm, utimes } from "node:fs/promises";
import { join } from "node:path";
import { pruneFiles, writeFileAtomically } from "./cache.ts";

/** A guest that is up and waits for a command. */
export interface Snapshot {
  readonly state: ArrayBuffer;
  /** As `uname -r` printed it. */
  readonly kernelVersion: string;
}

const SUFFIX = ".v86state";
/** Snapshots of 40 MB each are kept for this many different configurations. */
const KEEP = 8;
const HEADER_BYTES = 256;
const MAGIC = "virtio-ts guest snapshot 1";

/** Where the snapshot of a configuration is. `configuration` must hold everything that the state depends on. */
export function snapshotPath(cacheDir: string, configuration: unknown): string {
  const key = createHash("sha256").update(JSON.stringify(configuration)).digest("hex").slice(0, 24);
  return join(cacheDir, "snapshots", `${key}${SUFFIX}`);
}

/** Writes a snapshot and removes those that were not used for longest. */
export async function writeSnapshot(path: string, snapshot: Snapshot): Promise<void> {
  const { kernelVersion, state } = snapshot;
  const header = JSON.stringify({ magic: MAGIC, kernelVersion, stateBytes: state.byteLength });
  await writeFileAtomically(path, Buffer.from(header.padEnd(HEADER_BYTES)), new Uint8Array(state));
  await pruneFiles(join(path, ".."), SUFFIX, KEEP);
}

/** Reads a snapshot; undefined when there is none, or none that is whole. */
export async function readSnapshot(path: string): Promise<Snapshot | undefined> {
  const file = await open(path).catch(() => undefined);
  if (!file) return undefined;
  try {
    const header = Buffer.alloc(HEADER_BYTES);
    await file.read(header, 0, HEADER_BYTES, 0);
    const { magic, kernelVersion, stateBytes } = JSON.parse(header.toString());
    const { size } = await file.stat();
    if (magic !== MAGIC || typeof kernelVersion !== "string" || size !== HEADER_BYTES + stateBytes) return undefined;
    const state = new Uint8Array(stateBytes);
    for (let offset = 0; offset < stateBytes; ) {
      const { bytesRead } = await file.read(state, offset, stateBytes - offset, HEADER_BYTES + offset);
      if (bytesRead === 0) return undefined;
      offset += bytesRead;
    }
    const now = new Date();
    await utimes(path, now, now).catch(() => {});
    return { kernelVersion, state: state.buffer };
  } catch {
    return undefined;
  } finally {
    await file.close();
  }
}

/** Removes a snapshot that proved unusable. */
export async function removeSnapshot(path: string): Promise<void> {
  await rm(path, { force: true });
}
