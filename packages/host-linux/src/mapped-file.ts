/**
 * Memory that another process shares: a file, mapped. An emulator whose RAM is a file (QEMU's
 * `memory-backend-file,share=on`) and a driver or device in this process see the same bytes.
 * @module
 */

import { closeSync, fstatSync, ftruncateSync, openSync } from "node:fs";
import { HostError } from "./errors.ts";
import { mapShared, overlay } from "./libc.ts";

/** A file as memory. */
export class MappedFile {
  /** Its bytes: loads, stores and Atomics work on them, and what another process does to them shows at once. */
  readonly bytes: Uint8Array;
  readonly #address: bigint;
  #released = false;

  /**
   * Maps the first `length` bytes of the file at `path`, which is made, and made as long, where it is not. What a longer
   * file holds behind them stays.
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

  /** Lets go of the file. Whoever still holds {@link bytes} has private memory from now on, and zeros in it. */
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
