/**
 * A guest that drives the registers of version 2 as Linux does. It knows the standard's numbers only, none of the code
 * under test.
 * @module
 */

import type { AccessWidth, RegisterBlock } from "@virtio-ts/vm-device";

/** The registers of one device as seen by a guest. */
export class Guest {
  readonly block: RegisterBlock;

  constructor(block: RegisterBlock) {
    this.block = block;
  }

  read(offset: number, width: AccessWidth = 4): number {
    return this.block.read(offset, width);
  }

  write(offset: number, value: number, width: AccessWidth = 4): void {
    this.block.write(offset, width, value);
  }

  get status(): number {
    return this.read(0x70);
  }

  set status(value: number) {
    this.write(0x70, value);
  }

  get interruptStatus(): number {
    return this.read(0x60);
  }

  /** 64 bits of offered features. */
  get offered(): bigint {
    this.write(0x14, 0);
    const low = BigInt(this.read(0x10));
    this.write(0x14, 1);
    return (BigInt(this.read(0x10)) << 32n) | low;
  }

  select(queue: number): void {
    this.write(0x30, queue);
  }

  /** Whether the queue is ready, as the driver reads it. */
  ready(queue: number): number {
    this.select(queue);
    return this.read(0x44);
  }

  /** Acknowledges, and negotiates VERSION_1 and the given features. */
  negotiate(features = 0n): void {
    this.status = 1;
    this.status = 3;
    this.write(0x24, 0);
    this.write(0x20, Number(features & 0xffff_ffffn));
    this.write(0x24, 1);
    this.write(0x20, Number(features >> 32n) | 1);
    this.status = 11;
  }

  /** Sets up a queue in the 0x4000 bytes of memory at `base`, and makes it ready. */
  setQueue(index: number, size = 16, base = 0x4000 * (index + 1)): void {
    this.select(index);
    this.write(0x38, size);
    this.write(0x80, base);
    this.write(0x90, base + 0x1000);
    this.write(0xa0, base + 0x2000);
    this.write(0x44, 1);
  }

  /** The whole way to DRIVER_OK, with two queues. */
  goLive(features = 0n): void {
    this.negotiate(features);
    this.setQueue(0);
    this.setQueue(1);
    this.status = 15;
  }

  kick(value: number): void {
    this.write(0x50, value);
  }

  /** As a driver of version 1 does it: no FEATURES_OK, queue addresses by page. */
  goLiveLegacy(features = 0): void {
    this.status = 0;
    this.status = 1;
    this.status = 3;
    this.write(0x20, features);
    this.write(0x28, 4096);
    for (const queue of [0, 1]) this.placeLegacy(queue, 4 + 4 * queue);
    this.status = 7;
  }

  /** Places a queue of version 1. */
  placeLegacy(queue: number, page: number, size = 16, align = 4096): void {
    this.select(queue);
    this.write(0x38, size);
    this.write(0x3c, align);
    this.write(0x40, page);
  }
}
