/**
 * The elements of one buffer that a driver offers: VIRTIO 1.4, 2.7.13.1 and 2.8.
 * @module
 */

import { MAX_CHAIN_BYTES } from "../layout/descriptor.ts";
import { BufferError } from "./fault.ts";

const INITIAL_ELEMENTS = 16;
const MAX_LENGTH = 0xffff_ffff;

/** Checks one element. @throws BufferError `element` */
export function checkElement(address: number, length: number): void {
  if (!Number.isSafeInteger(address) || address < 0) throw new BufferError("element", `an element at ${address}`);
  if (!Number.isInteger(length) || length < 1 || length > MAX_LENGTH) {
    throw new BufferError("element", `an element of ${length} bytes`);
  }
}

/** The elements of one buffer: device-readable ones, then device-writable ones. Made once, used again and again. */
export class BufferElements {
  /** Elements. */
  count = 0;
  /** How many of them the device reads: the first ones. */
  readables = 0;
  /** Bytes in all. */
  bytes = 0;
  /** Bytes of those the device writes. */
  writableBytes = 0;
  /** Guest-physical address of each. */
  addresses: Float64Array = new Float64Array(INITIAL_ELEMENTS);
  /** Bytes of each. */
  lengths: Uint32Array = new Uint32Array(INITIAL_ELEMENTS);

  /** Starts a new buffer. */
  clear(): this {
    this.count = 0;
    this.readables = 0;
    this.bytes = 0;
    this.writableBytes = 0;
    return this;
  }

  /**
   * Adds an element that the device reads.
   * @throws BufferError `element`, `too-large`; `order` after a device-writable one
   */
  readable(address: number, length: number): this {
    if (this.readables < this.count) {
      throw new BufferError("order", `a device-readable element at ${address} after a device-writable one`);
    }
    this.append(address, length);
    this.readables++;
    return this;
  }

  /**
   * Adds an element that the device writes.
   * @throws BufferError `element`, `too-large`
   */
  writable(address: number, length: number): this {
    this.append(address, length);
    this.writableBytes += length;
    return this;
  }

  private append(address: number, length: number): void {
    checkElement(address, length);
    if (this.bytes + length > MAX_CHAIN_BYTES) {
      throw new BufferError("too-large", `a buffer of ${this.bytes + length} bytes`);
    }
    const at = this.count;
    if (at === this.lengths.length) this.grow();
    this.addresses[at] = address;
    this.lengths[at] = length;
    this.bytes += length;
    this.count = at + 1;
  }

  private grow(): void {
    const addresses = new Float64Array(2 * this.count);
    const lengths = new Uint32Array(2 * this.count);
    addresses.set(this.addresses);
    lengths.set(this.lengths);
    this.addresses = addresses;
    this.lengths = lengths;
  }
}
