/**
 * A register block that remembers what was done to it.
 * @module
 */

import type { AccessWidth, RegisterBlock } from "@virtio-ts/vm-device";

/** Bytes, and a log of the accesses to them. */
export class TestBlock implements RegisterBlock {
  readonly size: number;
  readonly bytes: Uint8Array;
  readonly log: string[] = [];

  constructor(size: number, fill = 0) {
    this.size = size;
    this.bytes = new Uint8Array(size).fill(fill);
  }

  read(offset: number, width: AccessWidth): number {
    this.log.push(`read ${offset} ${width}`);
    let value = 0;
    for (let i = width - 1; i >= 0; i--) value = value * 256 + this.bytes[offset + i];
    return value;
  }

  write(offset: number, width: AccessWidth, value: number): void {
    this.log.push(`write ${offset} ${width} 0x${value.toString(16)}`);
    for (let i = 0; i < width; i++) this.bytes[offset + i] = value >>> (8 * i);
  }
}

/** The `code` of what `run` throws; fails the test if it throws nothing. */
export function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    return (error as { code: string }).code;
  }
  throw new Error("nothing was thrown");
}
