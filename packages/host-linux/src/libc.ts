/**
 * The calls into the C library: only those that this package needs.
 * @module
 */

import koffi from "koffi";
import { HostError } from "./errors.ts";

const PROT_READ_WRITE = 3;
const MAP_SHARED = 1;
const MAP_PRIVATE_FIXED_ANONYMOUS = 0x02 | 0x10 | 0x20;
const MAP_FAILED = 0xffff_ffff_ffff_ffffn;

type Mmap = (
  address: bigint | null,
  length: number,
  protection: number,
  flags: number,
  descriptor: number,
  offset: number,
) => bigint;

let mmap: Mmap | undefined;

/** Loads the library at the first call, so that the package can be imported on any system. */
function call(...args: Parameters<Mmap>): bigint {
  try {
    mmap ??= koffi
      .load("libc.so.6")
      .func(
        "void *mmap(void *address, size_t length, int protection, int flags, int descriptor, int64_t offset)",
      ) as Mmap;
  } catch (cause) {
    throw new HostError("no-libc", "this system has no libc.so.6: only Linux with the GNU C library has", { cause });
  }
  const address = mmap(...args);
  if (address === MAP_FAILED) {
    throw new HostError("map-failed", `mmap of ${args[1]} bytes failed with errno ${koffi.errno()}`);
  }
  return address;
}

/** Maps `length` bytes of an open file, shared and writable. @throws HostError */
export function mapShared(descriptor: number, length: number): { address: bigint; bytes: Uint8Array } {
  const address = call(null, length, PROT_READ_WRITE, MAP_SHARED, descriptor, 0);
  return { address, bytes: new Uint8Array(koffi.view(address, length)) };
}

/** Replaces a mapping with private zeros: views of it cannot be revoked, and after an unmap they would crash. */
export function overlay(address: bigint, length: number): void {
  call(address, length, PROT_READ_WRITE, MAP_PRIVATE_FIXED_ANONYMOUS, -1, 0);
}
