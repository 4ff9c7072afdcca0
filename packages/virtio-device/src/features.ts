/**
 * Feature negotiation (VIRTIO 1.4, 2.2): what is offered, what the driver wrote, what was agreed on. Bits are
 * read and written in pages of 32.
 * @module
 */

import { feature, VIRTIO_F_ANY_LAYOUT, VIRTIO_F_VERSION_1 } from "@virtio-ts/virtio-bindings";

const PAGE = 0xffff_ffffn;
const VERSION_1 = feature(VIRTIO_F_VERSION_1);
const LEGACY_ONLY = feature(VIRTIO_F_ANY_LAYOUT);

/** Pages of feature bits a transport may ask for; those above read as zero. */
export const FEATURE_PAGES = 4;

/** The two sides of a negotiation, and its outcome. */
export class FeatureNegotiation {
  /** What the device offers over its modern interface. */
  readonly offered: bigint;
  /** What the driver has written so far. */
  written = 0n;

  constructor(offered: bigint) {
    this.offered = offered;
  }

  /** 32 bits of what is offered. The legacy interface has the first page only, and offers ANY_LAYOUT in it. */
  offeredPage(page: number, legacy: boolean): number {
    if (page >= (legacy ? 1 : FEATURE_PAGES)) return 0;
    const offered = legacy ? this.offered | LEGACY_ONLY : this.offered;
    return Number((offered >> BigInt(page * 32)) & PAGE);
  }

  /** 32 bits of what the driver has written. */
  writtenPage(page: number): number {
    return page >= FEATURE_PAGES ? 0 : Number((this.written >> BigInt(page * 32)) & PAGE);
  }

  /** The driver writes 32 bits. */
  writePage(page: number, value: number): void {
    if (page >= FEATURE_PAGES) return;
    const shift = BigInt(page * 32);
    this.written = (this.written & ~(PAGE << shift)) | (BigInt(value >>> 0) << shift);
  }

  /** What a legacy driver gets: of what it wrote, that which is offered. It has no way to be refused. */
  get legacyOutcome(): bigint {
    return this.written & (this.offered | LEGACY_ONLY) & PAGE;
  }

  /** Whether a modern driver's choice is one: a subset of what is offered, with VERSION_1 (6.1, 2.2.2). */
  get acceptable(): boolean {
    return (this.written & ~this.offered) === 0n && (this.written & VERSION_1) !== 0n;
  }
}
