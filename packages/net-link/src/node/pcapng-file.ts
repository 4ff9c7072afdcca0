/**
 * A file as the sink of a capture. For Node.js.
 * @module
 */

import { closeSync, openSync, writeSync } from "node:fs";

/** A capture file, open for writing; made by {@link pcapngFile}. */
export interface PcapngFile {
  /**
   * Appends bytes: what `Capture` wants as its `sink`. Done when it returns, so that nothing piles up in memory.
   * @throws what the file system reports: no space left, file closed
   */
  sink(bytes: Uint8Array): void;
  /** Closes the file; close the capture before. A second call does nothing. */
  close(): void;
}

/**
 * Creates a capture file, or empties the one there is.
 * @param path where
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
