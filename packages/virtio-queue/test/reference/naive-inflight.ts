/**
 * A process that keeps a queue's region of vhost-user's inflight area, and one that finds it: each step as the protocol's
 * text tells it (vhost-user, "Inflight I/O tracking"), byte by byte.
 * @module
 */

/** A descriptor as a region has it. */
export interface TrackedDescriptor {
  readonly address: bigint;
  readonly length: number;
  readonly flags: number;
  readonly id: number;
}

/** A chain to be taken up again. */
export interface TrackedChain {
  /** The head descriptor, or the buffer id. */
  readonly head: number;
  /** Of a packed ring. */
  readonly descriptors: readonly TrackedDescriptor[];
}

/** struct QueueRegionSplit: 16 bytes, then 16 for each descriptor. */
export class NaiveSplitInflight {
  readonly view: DataView;
  private readonly size: number;
  private counter = 0n;

  constructor(size: number, bytes: Uint8Array) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.size = size;
  }

  /** Chains were taken before, with lower numbers. */
  goOnFrom(counter: bigint): void {
    this.counter = counter;
  }

  get usedIndex(): number {
    return this.view.getUint16(14, true);
  }

  receive(head: number): void {
    this.view.setBigUint64(16 + 16 * head + 8, this.counter, true);
    this.counter++;
    this.view.setUint8(16 + 16 * head, 1);
  }

  /** Steps 1 to 3 of supplying used buffers. */
  batch(head: number): void {
    this.view.setUint16(16 + 16 * head + 6, this.view.getUint16(12, true), true);
    this.view.setUint16(12, head, true);
  }

  /** The last two steps, `steps` of the stores that they take. */
  settle(heads: readonly number[], ringIndex: number, steps: number = Number.POSITIVE_INFINITY): void {
    heads.slice(0, steps).forEach((head) => {
      this.view.setUint8(16 + 16 * head, 0);
    });
    if (steps > heads.length) this.view.setUint16(14, ringIndex, true);
  }

  /** What a process that reconnects takes up again. */
  reconnect(ringIndex: number): TrackedChain[] {
    if (this.usedIndex !== ringIndex) {
      const count = (ringIndex - this.usedIndex) & 0xffff;
      let head = this.view.getUint16(12, true);
      for (let i = 0; i < count; i++) {
        this.view.setUint8(16 + 16 * head, 0);
        head = this.view.getUint16(16 + 16 * head + 6, true);
      }
      this.view.setUint16(14, ringIndex, true);
    }
    const inflight: { head: number; counter: bigint }[] = [];
    for (let head = 0; head < this.size; head++) {
      const counter = this.view.getBigUint64(16 + 16 * head + 8, true);
      if (this.view.getUint8(16 + 16 * head) === 1) inflight.push({ head, counter });
    }
    return inflight.sort((a, b) => Number(a.counter - b.counter)).map(({ head }) => ({ head, descriptors: [] }));
  }
}

/** struct QueueRegionPacked: 32 bytes, then 32 for each entry. */
export class NaivePackedInflight {
  readonly view: DataView;
  private readonly size: number;
  private counter = 0n;

  constructor(size: number, bytes: Uint8Array) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.size = size;
  }

  /** Lists were taken before, with lower numbers. */
  goOnFrom(counter: bigint): void {
    this.counter = counter;
  }

  get freeHead(): number {
    return this.view.getUint16(12, true);
  }

  get oldFreeHead(): number {
    return this.view.getUint16(14, true);
  }

  get used(): { entry: number; wrap: number } {
    return { entry: this.view.getUint16(16, true), wrap: this.view.getUint8(20) };
  }

  /** @param upTo descriptors of which the process still takes note */
  receive(list: readonly TrackedDescriptor[], upTo: number = list.length): number {
    const first = this.oldFreeHead;
    list.slice(0, upTo).forEach((d, i) => {
      if (i === 0) {
        this.setEntry(first, 6, 0);
        this.view.setBigUint64(32 + 32 * first + 8, this.counter, true);
        this.counter++;
        this.view.setUint8(32 + 32 * first, 1);
      }
      if (i === list.length - 1) this.setEntry(first, 4, this.freeHead);
      this.setEntry(first, 6, this.entry(first, 6) + 1);
      const at = 32 + 32 * this.freeHead;
      this.view.setBigUint64(at + 24, d.address, true);
      this.view.setUint32(at + 20, d.length, true);
      this.view.setUint16(at + 18, d.flags, true);
      this.view.setUint16(at + 16, d.id, true);
      this.view.setUint16(12, this.entry(this.freeHead, 2), true);
      if (i === list.length - 1) this.view.setUint16(14, this.freeHead, true);
    });
    return first;
  }

  /** Steps 1 to 4 of supplying used buffers, and the used index moved on. */
  batch(first: number): void {
    this.setEntry(this.entry(first, 4), 2, this.freeHead);
    this.view.setUint16(12, first, true);
    const { entry, wrap } = this.used;
    const next = entry + this.entry(first, 6);
    this.view.setUint16(16, next % this.size, true);
    this.view.setUint8(20, next >= this.size ? 1 - wrap : wrap);
  }

  /** The last two steps, `steps` of the stores that they take. */
  settle(firsts: readonly number[], steps: number = Number.POSITIVE_INFINITY): void {
    firsts.slice(0, steps).forEach((first) => {
      this.view.setUint8(32 + 32 * first, 0);
    });
    if (steps > firsts.length) this.commit();
  }

  /** What a process that reconnects takes up again. @param flags of the ring's entry at the old used index */
  reconnect(flags: number): TrackedChain[] {
    const old = this.view.getUint16(18, true);
    // The text compares the index alone: a batch of a whole lap leaves it as it was, and only the wrap counter tells.
    if (this.used.entry !== old || this.used.wrap !== this.view.getUint8(21)) {
      const isAvailable = (flags & 0x8080) === (this.view.getUint8(21) === 1 ? 0x0080 : 0x8000);
      if (!isAvailable) this.commit();
    }
    this.view.setUint16(12, this.oldFreeHead, true);
    this.view.setUint16(16, this.view.getUint16(18, true), true);
    this.view.setUint8(20, this.view.getUint8(21));
    for (let i = this.freeHead; i < this.size; i = this.entry(i, 2)) this.view.setUint8(32 + 32 * i, 0);
    const inflight: { first: number; counter: bigint }[] = [];
    for (let first = 0; first < this.size; first++) {
      const counter = this.view.getBigUint64(32 + 32 * first + 8, true);
      if (this.view.getUint8(32 + 32 * first) === 1) inflight.push({ first, counter });
    }
    return inflight
      .sort((a, b) => Number(a.counter - b.counter))
      .map(({ first }) => {
        const descriptors: TrackedDescriptor[] = [];
        for (let i = first; descriptors.length < this.entry(first, 6); i = this.entry(i, 2)) {
          const at = 32 + 32 * i;
          descriptors.push({
            address: this.view.getBigUint64(at + 24, true),
            length: this.view.getUint32(at + 20, true),
            flags: this.view.getUint16(at + 18, true),
            id: this.view.getUint16(at + 16, true),
          });
        }
        return { head: this.entry(this.entry(first, 4), 16), descriptors };
      });
  }

  private commit(): void {
    this.view.setUint16(14, this.freeHead, true);
    this.view.setUint16(18, this.used.entry, true);
    this.view.setUint8(21, this.used.wrap);
  }

  private entry(index: number, at: number): number {
    return this.view.getUint16(32 + 32 * index + at, true);
  }

  private setEntry(index: number, at: number, value: number): void {
    this.view.setUint16(32 + 32 * index + at, value, true);
  }
}
