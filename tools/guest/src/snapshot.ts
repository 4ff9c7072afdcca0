/**
 * Snapshots of guests: one file each, a header in JSON and v86's state. Those of booted guests are in the cache.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { type FileHandle, open, rm, utimes } from "node:fs/promises";
import { dirname, join } from "node:path";
import { pruneFiles, writeFileAtomically } from "./cache.ts";

/** A guest that waits for a command. */
export interface Snapshot {
  /** The emulator's own state. */
  readonly state: ArrayBuffer;
  /** As `uname -r` printed it. */
  readonly kernelVersion: string;
  /** State of the devices that were plugged in, plain data; absent where there were none. */
  readonly devices?: unknown;
}

const SUFFIX = ".v86state";
/** Snapshots of 40 MB each are kept for this many different configurations. */
const KEEP = 8;
/** Comes first, then the length of the header: 32 bits, little endian. */
const MAGIC = "virtio-ts guest snapshot 2\n";
const PREFIX_BYTES = MAGIC.length + 4;
const MAX_HEADER_BYTES = 1 << 20;

/** Where the snapshot of a configuration is. `configuration` must hold everything that the state depends on. */
export function snapshotPath(cacheDir: string, configuration: unknown): string {
  const key = createHash("sha256").update(JSON.stringify(configuration)).digest("hex").slice(0, 24);
  return join(cacheDir, "snapshots", `${key}${SUFFIX}`);
}

/** Writes a snapshot. */
export async function writeSnapshot(path: string, snapshot: Snapshot): Promise<void> {
  const { kernelVersion, devices, state } = snapshot;
  const header = Buffer.from(JSON.stringify({ kernelVersion, devices, stateBytes: state.byteLength }));
  const prefix = Buffer.from(`${MAGIC}0000`, "latin1");
  prefix.writeUInt32LE(header.length, MAGIC.length);
  await writeFileAtomically(path, prefix, header, new Uint8Array(state));
}

/** Removes the snapshots beside this one that were not used for longest. */
export async function pruneSnapshots(path: string): Promise<void> {
  await pruneFiles(dirname(path), SUFFIX, KEEP);
}

/** Reads a snapshot; undefined when there is none, or none that is whole. */
export async function readSnapshot(path: string): Promise<Snapshot | undefined> {
  const file = await open(path).catch(() => undefined);
  if (!file) return undefined;
  try {
    const prefix = await readAt(file, 0, PREFIX_BYTES);
    const headerBytes = prefix.readUInt32LE(MAGIC.length);
    if (!prefix.toString("latin1").startsWith(MAGIC) || headerBytes > MAX_HEADER_BYTES) return undefined;
    const header = await readAt(file, PREFIX_BYTES, headerBytes);
    const { kernelVersion, devices, stateBytes } = JSON.parse(header.toString());
    const { size } = await file.stat();
    const start = PREFIX_BYTES + headerBytes;
    if (typeof kernelVersion !== "string" || size !== start + stateBytes) return undefined;
    const state = await readAt(file, start, stateBytes);
    const now = new Date();
    await utimes(path, now, now).catch(() => {});
    return { kernelVersion, devices, state: state.buffer };
  } catch {
    return undefined;
  } finally {
    await file.close();
  }
}

/** @throws RangeError where the file ends before */
async function readAt(file: FileHandle, position: number, length: number): Promise<Buffer<ArrayBuffer>> {
  const bytes = Buffer.from(new ArrayBuffer(length));
  for (let at = 0; at < length; ) {
    const { bytesRead } = await file.read(bytes, at, length - at, position + at);
    if (bytesRead === 0) throw new RangeError(`the file ends before byte ${position + length}`);
    at += bytesRead;
  }
  return bytes;
}

/** Removes a snapshot that proved unusable. */
export async function removeSnapshot(path: string): Promise<void> {
  await rm(path, { force: true });
}
