/**
 * The guest's memory as the oracle sees it: beside the bytes that devices reach there is a copy, which the guest alone
 * writes. What differs after a device was called was written by the device, and must have been offered to it.
 */
import { GuestMemory, MemoryRegion } from "@virtio-ts/vm-memory";

/** Bytes from `start` up to `end`. */
export interface Range {
  readonly start: number;
  readonly end: number;
}

/** Two regions with a hole between them. */
export const LOW: Range = { start: 0, end: 0x3_0000 };
export const HIGH: Range = { start: 0x3_8000, end: 0x4_0000 };

/**
 * How often a device may look at memory anew in one call: about ten times for each of the bursts of a turn, and of a few
 * frames it is given.
 */
const LOOKS = 400;

/** Each byte of memory is like few others: what was read at a wrong place is seen. */
const PATTERN = makePattern();

function makePattern(): Uint8Array {
  const words = new Uint32Array(HIGH.end / 4);
  for (let i = 0; i < words.length; i++) {
    let x = Math.imul(i + 1, 0x9e37_79b1);
    x = Math.imul(x ^ (x >>> 15), 0x85eb_ca6b);
    words[i] = x ^ (x >>> 13);
  }
  return new Uint8Array(words.buffer);
}

export class Arena {
  readonly memory: GuestMemory;
  readonly #real = PATTERN.slice();
  readonly #copy = PATTERN.slice();
  readonly #view = new DataView(this.#copy.buffer);
  /** Looks at memory since the last {@link begin}. */
  #looks = 0;
  #allowed: readonly Range[] = [];

  constructor() {
    const region = ({ start, end }: Range): MemoryRegion => {
      const bytes = this.#real.subarray(start, end);
      return new MemoryRegion(start, () => {
        this.#looks++;
        return bytes;
      });
    };
    this.memory = new GuestMemory([region(LOW), region(HIGH)]);
  }

  /** The bytes of a region, for who maps memory itself. */
  bytes({ start, end }: Range): Uint8Array {
    return this.#real.subarray(start, end);
  }

  /** Whether every byte of a range is memory, in one region. */
  has(start: number, length: number): boolean {
    return [LOW, HIGH].some((region) => start >= region.start && start + length <= region.end);
  }

  // -- the guest

  write(at: number, bytes: ArrayLike<number>): void {
    this.#copy.set(bytes, at);
    this.#real.set(bytes, at);
  }

  fill(at: number, length: number): void {
    this.#copy.fill(0, at, at + length);
    this.#real.fill(0, at, at + length);
  }

  write16(at: number, value: number): void {
    this.write(at, [value & 255, (value >>> 8) & 255]);
  }

  write32(at: number, value: number): void {
    this.write(at, [value & 255, (value >>> 8) & 255, (value >>> 16) & 255, value >>> 24]);
  }

  read16(at: number): number {
    return this.#view.getUint16(at, true);
  }

  read32(at: number): number {
    return this.#view.getUint32(at, true);
  }

  /** The bytes of ranges, one after the other. */
  read(ranges: readonly Range[], most: number = Number.POSITIVE_INFINITY): Uint8Array {
    const length = Math.min(most, sizeOf(ranges));
    const bytes = new Uint8Array(length);
    let at = 0;
    for (const { start, end } of ranges) {
      if (at === length) break;
      const part = this.#copy.subarray(start, Math.min(end, start + length - at));
      bytes.set(part, at);
      at += part.length;
    }
    return bytes;
  }

  // -- the oracle

  /** A device is about to be called. @param allowed what it may write */
  begin(allowed: readonly Range[]): void {
    this.#allowed = allowed;
    this.#looks = 0;
  }

  /**
   * It has returned.
   * @param heard whether it might write at all
   * @throws Error for a byte that it should not have written, and when it did not know an end
   */
  end(heard: boolean): void {
    if (this.#looks > LOOKS) throw new Error(`unbounded: it looked at memory ${this.#looks} times`);
    if (Buffer.compare(this.#real, this.#copy) === 0) return;
    for (const { start, end } of heard ? this.#allowed : []) this.#copy.set(this.#real.subarray(start, end), start);
    if (Buffer.compare(this.#real, this.#copy) === 0) return;
    const at = this.#real.findIndex((byte, i) => byte !== this.#copy[i]);
    throw new Error(`wrote 0x${this.#real[at].toString(16)} at 0x${at.toString(16)}, which is not offered`);
  }

  /** Everything that was written is taken as it is: for a guest that has offered its own rings. */
  accept(): void {
    this.#copy.set(this.#real);
  }
}

export function sizeOf(ranges: readonly Range[]): number {
  return ranges.reduce((sum, { start, end }) => sum + end - start, 0);
}
