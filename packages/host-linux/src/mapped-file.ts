/**
 * Memory shared with another process: a mapped file. An emulator whose RAM is a file (QEMU's
 * `memory-backend-file,share=on`) and a driver or device in this process see the same bytes.
 * @module
 */

import { closeSync, fstatSync, ftruncateSync, openSync } from "node:fs";
import { HostError } from "./errors.ts";
import { mapShared, overlay } from "./libc.ts";

/** A file as memory. */
export class MappedFile {
  /** The mapped bytes. Loads, stores and Atomics work on them; another process's changes are visible at once. */
  readonly bytes: Uint8Array;
  readonly #address: bigint;
  #released = false;

  /**
   * Maps the first `length` bytes of the file at `path`. A missing file is made and a shorter one is extended; the rest
   * of a longer file stays as it is.
   * @param length bytes, at least 1
   * @throws HostError `file`, `map-failed`, `no-libc`
   */
  constructor(path: string, length: number) {
    const descriptor = open(path);
    try {
      if (fstatSync(descriptor).size < length) ftruncateSync(descriptor, length);
      ({ address: this.#address, bytes: this.bytes } = mapShared(descriptor, length));
    } catch (cause) {
      throw cause instanceof HostError ? cause : new HostError("file", `${path}: ${length} bytes`, { cause });
    } finally {
      closeSync(descriptor);
    }
  }

  /** Unmaps the file. From now on {@link bytes} is private memory, filled with zeros. */
  release(): void {
    if (this.#released) return;
    this.#released = true;
    overlay(this.#address, this.bytes.length);
  }
}

function open(path: string): number {
  try {
    return openSync(path, "a+", 0o600);
  } catch (cause) {
    throw new HostError("file", `${path} can't be opened to read and write`, { cause });
  }
}
