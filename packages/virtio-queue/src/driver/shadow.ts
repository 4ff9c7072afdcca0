/**
 * What a driver's half knows of the buffers it has added: its own record, for the device may have written over the
 * ring. In either format; a buffer is known by its head descriptor (split) or buffer id (packed).
 * @module
 */

import type { DriverQueueFaultCode } from "./fault.ts";

/** Words of one head's record: descriptors of its buffer, when it was added, bytes of its device-writable part. */
const COUNT = 0;
const ADDED_AT = 1;
const WRITABLE = 2;
/** And one that the format may use. */
const LINK = 3;
const SHIFT = 2;
/** Writable bytes are kept with this bit turned: lengths then compare by signed words as they do by unsigned ones. */
const SIGN = 0x8000_0000;

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
  private readonly book: Int32Array;
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
    this.book = new Int32Array(this.orderAt + ring);
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

  /** The same, of what may be no head at all. */
  countOf(id: number): number {
    return id < this.size ? this.count(id) : 0;
  }

  /** Whether each buffer has just one descriptor. */
  get single(): boolean {
    return this.size - this.free === this.outstanding;
  }

  /** Bytes of a head's device-writable part, as far as a used element's length can say them. */
  writable(head: number): number {
    return (this.book[(head << SHIFT) + WRITABLE] ^ SIGN) >>> 0;
  }

  /** What the format has put there with {@link setLink}. */
  link(head: number): number {
    return this.book[(head << SHIFT) + LINK];
  }

  setLink(head: number, link: number): void {
    this.book[(head << SHIFT) + LINK] = link;
  }

  /** Records a buffer of `count` descriptors. Of its device-writable bytes, 2^32 - 1 are as good as 2^32. */
  add(head: number, count: number, writableBytes: number): void {
    const { book, adds } = this;
    const record = head << SHIFT;
    book[record] = count;
    book[(record + ADDED_AT) | 0] = adds;
    book[(record + WRITABLE) | 0] = writableBytes ^ SIGN;
    if (this.inOrder) book[(this.orderAt + (adds & this.orderMask)) | 0] = head;
    this.adds = (adds + 1) | 0;
    this.free = (this.free - count) | 0;
  }

  /** The device is told of everything added. */
  publish(): void {
    this.told = this.adds;
  }

  /** The buffer that was added before all others. */
  get oldest(): number {
    return this.book[this.orderAt + (this.taken & this.orderMask)];
  }

  /** Whether a head has a buffer. If not, {@link problem} says why. */
  has(id: number): boolean {
    if (id >= this.size) return this.refuse("id-out-of-range");
    return this.book[id << SHIFT] !== 0 || this.refuse("id-not-outstanding");
  }

  /** Whether the device was told of a head's buffer: it can't have used those added last. {@link problem} as above. */
  isTold(id: number): boolean {
    const age = (this.adds - this.book[((id << SHIFT) + ADDED_AT) | 0]) | 0;
    return (age - 1) >>> 0 >= this.added || this.refuse("id-not-outstanding");
  }

  /** Whether a length is one that was written into a head's buffer. */
  holds(id: number, length: number): boolean {
    return (length ^ SIGN) <= this.book[((id << SHIFT) + WRITABLE) | 0];
  }

  /**
   * What a length that the buffer does not hold counts as.
   * @param meant whether the element says that its length counts: else it counts as 0
   * @returns bytes written into the buffer, or -1, and {@link problem} says why
   */
  cut(id: number, meant: boolean): number {
    if (!meant) return 0;
    if (this.legacy) return this.writable(id);
    this.problem = "length-too-large";
    return -1;
  }

  /**
   * In order (2.7.9, 2.8.9) a used element begins a batch: it stands for all buffers up to the one it names; those before
   * that one count as written completely.
   * @param most buffers it may stand for
   * @returns whether all is well, as {@link has}
   */
  beginBatch(id: number, length: number, meant: boolean, most: number): boolean {
    if (!this.has(id) || !this.isTold(id)) return false;
    const written = this.holds(id, length) ? length : this.cut(id, meant);
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
    this.free = (this.free + descriptors) | 0;
  }

  /** Heads of what is outstanding: as they were added in order, else ascending. */
  heads(): number[] {
    if (this.inOrder) {
      const headAt = (i: number): number => this.book[this.orderAt + ((this.taken + i) & this.orderMask)];
      return Array.from({ length: this.outstanding }, (_, i) => headAt(i));
    }
    return this.all().filter((head) => this.count(head) !== 0);
  }

  /** Heads that have no buffer. */
  unused(): number[] {
    return this.all().filter((head) => this.count(head) === 0);
  }

  private all(): number[] {
    return Array.from({ length: this.size }, (_, head) => head);
  }

  private refuse(problem: DriverQueueFaultCode): false {
    this.problem = problem;
    return false;
  }
}
