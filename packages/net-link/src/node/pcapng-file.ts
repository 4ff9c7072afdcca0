/**
 * A file as the sink of a capture. For Node.js.
 * @module
 */

import { closeSync, openSync, writeSync } from "node:fs";

/** A capture file open for writing; {@link pcapngFile} creates it. */
export interface PcapngFile {
  /**
   * Appends bytes; pass it to `Capture` as `sink`. The write is synchronous, so nothing piles up in memory.
   * @throws what the file system reports: no space left, file closed
   */
  sink(bytes: Uint8Array): void;
  /** Closes the file; close the capture first. A second call does nothing. */
  close(): void;
}

/**
 * Creates a capture file, or truncates an existing one.
 * @param path path of the file
 * @throws what the file system reports
 */
export function pcapngFile(path: string): PcapngFile {
  const file = openSync(path, "w");
  let open = true;
  return {
    sink(bytes) {
      if (!open) throw new Error(`capture file ${path} is closed`);
      for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at);
    },
    close() {
      if (open) closeSync(file);
      open = false;
    },
  };
}
