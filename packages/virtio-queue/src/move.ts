/**
 * Copies bytes between guest memory and a caller's buffer.
 *
 * Hot, guarded by `bench/`: `set` needs a new view for each call, which costs more than the copy of a small frame. So
 * small copies go by words where both sides are aligned alike, through a view of the caller's buffer that is kept.
 * @module
 */

import type { MemoryRegion } from "@virtio-ts/vm-memory";
import { WORD_INDEX } from "./words.ts";

const INDEX: number = WORD_INDEX;
/** Above this many bytes `set` is faster than a loop over words. */
const WORDS_PAY = 256;
/** Up to this many bytes a loop over bytes is faster than `set`. */
const BYTES_PAY = 24;

/** A caller's buffer with its view by words, for the buffer used last. */
export class WordView {
  private bytes: Uint8Array | null = null;
  private words: Uint32Array | null = null;

  /**
   * The words of `bytes`, or `null` where they can't be seen: an unaligned buffer, or one that was not the last one
   * asked for, for a view made at each call would cost more than it saves.
   */
  of(bytes: Uint8Array): Uint32Array | null {
    if (bytes === this.bytes) {
      if (this.words === null && bytes.byteOffset % 4 === 0) {
        this.words = new Uint32Array(bytes.buffer, bytes.byteOffset, Math.floor(bytes.length / 4));
      }
      return this.words;
    }
    this.bytes = bytes;
    this.words = null;
    return null;
  }
}

/** Copies out of a region. The caller has checked both ranges. */
export function moveOut(
  region: MemoryRegion,
  offset: number,
  target: Uint8Array,
  to: number,
  length: number,
  view: WordView,
): void {
  if (length <= WORDS_PAY && length > BYTES_PAY && ((offset ^ to) & 3) === 0) {
    const words = view.of(target);
    if (words !== null) {
      moveWords(region.u8, region.u32, offset, target, words, to, length);
      return;
    }
  }
  moveBytes(region.u8, offset, target, to, length);
}

/** Copies into a region. The caller has checked both ranges and tells the tracker. */
export function moveIn(
  region: MemoryRegion,
  offset: number,
  source: Uint8Array,
  from: number,
  length: number,
  view: WordView,
): void {
  if (length <= WORDS_PAY && length > BYTES_PAY && ((offset ^ from) & 3) === 0) {
    const words = view.of(source);
    if (words !== null) {
      moveWords(source, words, from, region.u8, region.u32, offset, length);
      return;
    }
  }
  moveBytes(source, from, region.u8, offset, length);
}

/** Bytes up to the first whole word, words, bytes. */
function moveWords(
  source: Uint8Array,
  sourceWords: Uint32Array,
  from: number,
  target: Uint8Array,
  targetWords: Uint32Array,
  to: number,
  length: number,
): void {
  let done = 0;
  for (; ((from + done) & 3) !== 0; done++) target[to + done] = source[from + done];
  const count = (length - done) >>> 2;
  const a = ((from + done) >>> 2) & INDEX;
  const b = ((to + done) >>> 2) & INDEX;
  let i = 0;
  // V8 checks and loads both arrays anew at each turn: four words in one cost less than twice what one does.
  for (; i < (count & ~3); i += 4) {
    targetWords[b + i] = sourceWords[a + i];
    targetWords[b + i + 1] = sourceWords[a + i + 1];
    targetWords[b + i + 2] = sourceWords[a + i + 2];
    targetWords[b + i + 3] = sourceWords[a + i + 3];
  }
  for (; i < count; i++) targetWords[b + i] = sourceWords[a + i];
  for (done += count * 4; done < length; done++) target[to + done] = source[from + done];
}

function moveBytes(source: Uint8Array, from: number, target: Uint8Array, to: number, length: number): void {
  if (length <= BYTES_PAY) {
    for (let i = 0; i < length; i++) target[to + i] = source[from + i];
  } else {
    target.set(source.subarray(from, from + length), to);
  }
}
