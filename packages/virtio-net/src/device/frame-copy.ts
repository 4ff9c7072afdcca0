/**
 * Copies the bytes of frames into guest memory: the one copy a received frame costs.
 *
 * Hot, guarded by `bench/net.ts`, and it does not allocate where it can be helped: `set` copies fastest, but needs a
 * view of just the bytes to copy, and making one costs as much as a small frame's copy. So small pieces go by words,
 * and views of large ones are kept, for frames mostly come from the same places again.
 * @module
 */

import type { MemoryRegion } from "@virtio-ts/vm-memory";

/** Up to this many bytes a loop over bytes is fastest. */
const BYTES_PAY = 16;
/** Up to this many bytes a loop over words is fastest. */
const WORDS_PAY = 192;
/** Views kept: a power of two, for one range in each {@link STEP} of the first half megabyte of a buffer. */
const KEPT = 1024;
const STEP = 9;

/** Bytes from a buffer's start up to which word indices are surely small integers. */
const FAR = 2 ** 30;

const EMPTY = new Uint8Array(0);
const NO_WORDS = new Uint32Array(0);

/** Copies into guest memory, one of it for each receive queue. */
export class FrameCopier {
  #bytes: Uint8Array = EMPTY;
  #words: Uint32Array = NO_WORDS;
  /** Where `#bytes` starts in its buffer: asking a view for it takes longer than copying 16 bytes. */
  #start = 0;
  readonly #sources: Uint8Array[] = new Array<Uint8Array>(KEPT).fill(EMPTY);
  readonly #views: Uint8Array[] = new Array<Uint8Array>(KEPT).fill(EMPTY);

  /** Copies `length` bytes; both ranges are known to be good. */
  copy(region: MemoryRegion, to: number, source: Uint8Array, from: number, length: number): void {
    const start = source === this.#bytes ? this.#start : source.byteOffset;
    if (length <= BYTES_PAY) {
      copyBytes(region.u8, to, source, from, length);
    } else if (length <= WORDS_PAY && ((to ^ (start + from)) & 3) === 0 && start < FAR) {
      this.#copyWords(region, to, source, from, length);
    } else {
      region.u8.set(this.#view(source, from, length), to);
    }
    if (region.tracker !== null) region.tracker.written(to, length);
  }

  /** Bytes up to the first whole word, words, bytes. */
  #copyWords(region: MemoryRegion, to: number, source: Uint8Array, from: number, length: number): void {
    if (source !== this.#bytes) this.#look(source);
    const target = region.u8;
    const head = -to & 3;
    for (let i = 0; i < head; i++) target[to + i] = source[from + i];
    const words = (length - head) >>> 2;
    const a = (this.#start + from + head) >>> 2;
    const b = (to + head) >>> 2;
    const sourceWords = this.#words;
    const targetWords = region.u32;
    let i = 0;
    // V8 checks and loads both arrays anew at each turn: four words in one cost less than twice what one does.
    for (; i < (words & ~3); i += 4) {
      targetWords[b + i] = sourceWords[a + i];
      targetWords[b + i + 1] = sourceWords[a + i + 1];
      targetWords[b + i + 2] = sourceWords[a + i + 2];
      targetWords[b + i + 3] = sourceWords[a + i + 3];
    }
    for (; i < words; i++) targetWords[b + i] = sourceWords[a + i];
    for (let done = head + words * 4; done < length; done++) target[to + done] = source[from + done];
  }

  /** Remembers the words of the buffer that `source` looks at. */
  #look(source: Uint8Array): void {
    this.#bytes = source;
    this.#start = source.byteOffset;
    const bytes = Math.min(source.byteOffset + source.length, source.buffer.byteLength);
    this.#words = new Uint32Array(source.buffer, 0, Math.floor(bytes / 4));
  }

  /** A view of `length` bytes of `source`. */
  #view(source: Uint8Array, from: number, length: number): Uint8Array {
    if (from === 0 && length === source.length) return source;
    const slot = (from >>> STEP) & (KEPT - 1);
    const kept = this.#views[slot];
    if (kept.length === length && this.#sources[slot] === source && kept.byteOffset === source.byteOffset + from) {
      return kept;
    }
    const view = source.subarray(from, from + length);
    this.#sources[slot] = source;
    this.#views[slot] = view;
    return view;
  }
}

function copyBytes(target: Uint8Array, to: number, source: Uint8Array, from: number, length: number): void {
  for (let i = 0; i < length; i++) target[to + i] = source[from + i];
}
