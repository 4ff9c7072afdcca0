/**
 * What a driver's half knows of the buffers it has added: its own record, for the device may have written over the
 * ring. In either format; a buffer is known by its head descriptor (split) or buffer id (packed).
 * @module
 */

import type { DriverQueueFaultCode } from "./fault.ts";

const MAX_LENGTH = 0xffff_ffff;

/** Words of one head's record: descriptors of its buffer, when it was added, bytes of its device-writable part. */
const COUNT = 0;
const ADDED_AT = 1;
const WRITABLE = 2;
/** And one that the format may use. */
const LINK = 3;
const SHIFT = 2;

/** The buffers that one driver queue has added and not taken back. */
export class Shadow {
  /** Entries of the ring. */
  readonly size: number;
  /** VIRTIO_F_IN_ORDER was negotiated. */
  readonly inOrder: boolean;
  /** Descriptors free now. */
  free: number;
  /** In order: buffers left of the batch whose element was read last, and what its last buffer was given back with. */
  batchLeft = 0;
  batchLength = 0;
  /** What was wrong with the used element that was refused last. */
  problem: DriverQueueFaultCode = "id-not-outstanding";
  /** A legacy device sets `len` at will: one that is too large is cut (2.7.8.1). */
  private readonly legacy: boolean;
  /** Buffers in all, as 32 bits: added, published, taken back. */
  private adds = 0;
  private told = 0;
  private taken = 0;
  /** The heads' records, then, in order, heads as they were added: one array, for each costs a loop its checks. */
  private readonly book: Uint32Array;
  private readonly orderAt: number;
  private readonly orderMask: number;

  constructor(size: number, inOrder: boolean, legacy: boolean) {
    const ring = 2 ** Math.ceil(Math.log2(size));
    this.size = size;
    this.inOrder = inOrder;
    this.legacy = legacy;
    this.free = size;
    this.orderAt = size << SHIFT;
    this.orderMask = ring - 1;
    this.book = new Uint32Array(this.orderAt + ring);
  }

  /** Buffers added and not yet taken back. */
  get outstanding(): number {
    return (this.adds - this.taken) | 0;
  }

  /** Of those, the ones the device was not told of yet. */
  get added(): number {
    return (this.adds - this.told) | 0;
  }

  /** Descriptors of a head's buffer; 0 for what heads none. */
  count(head: number): number {
    return this.book[(head << SHIFT) + COUNT];
  }

  /** Bytes of a head's device-writable part, as far as a used element's length can say them. */
  writable(head: number): number {
    return this.book[(head << SHIFT) + WRITABLE];
  }

  /** What the format has put there with {@link setLink}. */
  link(head: number): number {
    return this.book[(head << SHIFT) + LINK];
  }

  setLink(head: number, link: number): void {
    this.book[(head << SHIFT) + LINK] = link;
  }

  /** Records a buffer of `count` descriptors. */
  add(head: number, count: number, writableBytes: number): void {
    const { book } = this;
    const record = head << SHIFT;
    book[record] = count;
    book[(record + ADDED_AT) | 0] = this.adds;
    book[(record + WRITABLE) | 0] = Math.min(writableBytes, MAX_LENGTH);
    if (this.inOrder) book[(this.orderAt + (this.adds & this.orderMask)) | 0] = head;
    this.adds = (this.adds + 1) | 0;
    this.free -= count;
  }

  /** The device is told of everything added. */
  publish(): void {
    this.told = this.adds;
  }

  /** The buffer that was added before all others. */
  get oldest(): number {
    return this.book[this.orderAt + (this.taken & this.orderMask)];
  }

  /**
   * Checks a used element, and notes what is wrong with it in {@link problem}.
   * @param meant whether the element says that its length counts: else one that can't be counts as 0
   * @returns bytes written into the buffer, or -1
   */
  check(id: number, length: number, meant: boolean): number {
    if (id >= this.size) return this.refuse("id-out-of-range");
    const { book } = this;
    const record = id << SHIFT;
    const age = (this.adds - book[(record + ADDED_AT) | 0]) | 0;
    // The device was not told of those added last: none it could have used.
    if (book[record] === 0 || (age - 1) >>> 0 < this.added) return this.refuse("id-not-outstanding");
    const writable = book[(record + WRITABLE) | 0];
    if (length <= writable) return length;
    if (!meant) return 0;
    return this.legacy ? writable : this.refuse("length-too-large");
  }

  /**
   * In order (2.7.9, 2.8.9) a used element begins a batch: it stands for all buffers up to the one it names; those before
   * that one count as written completely.
   * @param most buffers it may stand for
   * @returns whether all is well, as {@link check}
   */
  beginBatch(id: number, length: number, meant: boolean, most: number): boolean {
    const written = this.check(id, length, meant);
    if (written < 0) return false;
    const age = (this.adds - this.book[(id << SHIFT) + ADDED_AT]) | 0;
    const batch = this.outstanding - age + 1;
    if (batch > most) this.refuse("id-not-outstanding");
    else this.batchLeft = batch;
    this.batchLength = written;
    return batch <= most;
  }

  /** Bytes written into the oldest buffer, which is the next one of a batch. */
  nextOfBatch(): number {
    this.batchLeft--;
    return this.batchLeft === 0 ? this.batchLength : this.writable(this.oldest);
  }

  /** Strikes a buffer out; {@link took} counts it. @returns its descriptors */
  strike(head: number): number {
    const record = head << SHIFT;
    const count = this.book[record];
    this.book[record] = 0;
    return count;
  }

  /** Counts buffers struck out, and their descriptors. */
  took(buffers: number, descriptors: number): void {
    this.taken = (this.taken + buffers) | 0;
    this.free += descriptors;
  }

  /** Heads of what is outstanding: as they were added in order, else ascending. */
  heads(): number[] {
    if (this.inOrder) {
      const headAt = (i: number): number => this.book[this.orderAt + ((this.taken + i) & this.orderMask)];
      return Array.from({ length: this.outstanding }, (_, i) => headAt(i));
    }
    return Array.from({ length: this.size }, (_, head) => head).filter((head) => this.count(head) !== 0);
  }

  private refuse(problem: DriverQueueFaultCode): number {
    this.problem = problem;
    return -1;
  }
}
