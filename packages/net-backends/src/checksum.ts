/**
 * The internet checksum (RFC 1071): the ones' complement sum of 16-bit words that IPv4, TCP, UDP and ICMP
 * carry. For software offloads, and for whoever builds packets.
 *
 * A *partial sum* is a plain number to which words, as they read most significant byte first, may be added
 * by hand (those of a pseudo header): below 2^31 it stays exact. {@link checksumFold} makes the checksum of it.
 * @module
 */

import type { FrameBurst } from "./frame-burst.ts";

/** Below this many bytes, pairs of bytes are read: asking a view for its buffer costs more than words save. */
const SMALL = 64;
/** Bytes whose 32-bit words a double sums without loss: 2^20 words below 2^32 stay below 2^53. */
const CHUNK = 0x40_0000;

/** The buffer that was summed last, as words. Weakly, or a cache would keep a dead machine's memory alive. */
const wordsOf = new WeakMap<ArrayBufferLike, Uint32Array>();

/**
 * Adds a range of bytes to a partial sum. The range must start at an even position of the data that is
 * summed, wherever it lies in memory; of an odd length only the last range may be
 * ({@link checksumFrame} takes care of both).
 *
 * The range must lie inside the view: that is not checked here.
 * @param sum the partial sum so far, 0 at first
 * @param view the bytes, over any buffer, shared ones and WebAssembly's included
 * @param offset where the range starts in `view`, bytes
 * @param length of the range, bytes
 * @returns the new partial sum
 */
export function checksumAdd(sum: number, view: Uint8Array, offset: number, length: number): number {
  if (length < SMALL) return addPairs(sum, view, offset, length);
  let at = offset;
  let left = length;
  while (left > CHUNK) {
    sum = addWords(sum, view, at, CHUNK);
    at += CHUNK;
    left -= CHUNK;
  }
  return addWords(sum, view, at, left);
}

/**
 * Ends a partial sum.
 * @returns the checksum, 16 bits, to be stored most significant byte first. Of data that contains its own
 * right checksum it is 0.
 */
export function checksumFold(sum: number): number {
  return ~fold16(sum) & 0xffff;
}

/**
 * Adds a range of a frame to a partial sum, across its segments, of whatever length they are.
 *
 * The range must lie inside the frame; bytes past its end count as zero.
 * @param burst the burst
 * @param i the frame
 * @param from first byte of the range, from the start of the frame
 * @param length bytes
 * @param initial partial sum to start from (the pseudo header's), 0 otherwise
 * @returns the partial sum
 */
export function checksumFrame(burst: FrameBurst, i: number, from: number, length: number, initial = 0): number {
  let sum = initial;
  let skip = from;
  let left = length;
  for (let s = burst.first[i]; s < burst.first[i + 1] && left > 0; s++) {
    const size = burst.segmentLengths[s];
    if (skip >= size) {
      skip -= size;
      continue;
    }
    const n = Math.min(size - skip, left);
    const start = burst.offsets[s] + skip;
    if (((length - left) & 1) === 0) {
      sum = checksumAdd(sum, burst.views[s], start, n);
    } else {
      // At an odd position every byte is in the other half of its word: the sum of the range has its halves
      // swapped too (RFC 1071, 2 (B)).
      sum += swap16(fold16(checksumAdd(0, burst.views[s], start, n)));
    }
    left -= n;
    skip = 0;
  }
  return sum;
}

function addPairs(sum: number, view: Uint8Array, offset: number, length: number): number {
  const end = offset + (length & ~1);
  let at = offset;
  for (; at < end; at += 2) sum += (view[at] << 8) | view[at + 1];
  if ((length & 1) !== 0) sum += view[at] << 8;
  return sum;
}

/**
 * Sums aligned 32-bit words into a double, which needs no carries (guarded by bench/checksum.ts). The words
 * are little-endian, like every machine with a JavaScript engine: the sum of swapped words is the swapped sum.
 */
function addWords(sum: number, view: Uint8Array, offset: number, length: number): number {
  const buffer = view.buffer;
  const start = view.byteOffset + offset;
  const end = start + length;
  let words = wordsOf.get(buffer);
  if (words === undefined || words.byteLength + 3 < end) {
    words = new Uint32Array(buffer, 0, Math.floor(buffer.byteLength / 4));
    wordsOf.set(buffer, words);
  }

  let total = 0;
  let at = offset;
  const odd = (start & 1) !== 0;
  if (odd) at++;
  if (((view.byteOffset + at) & 2) !== 0) {
    total += view[at] | (view[at + 1] << 8);
    at += 2;
  }
  let w = (view.byteOffset + at) / 4;
  const wEnd = Math.floor(end / 4);
  const wEnd4 = w + ((wEnd - w) & ~3);
  for (; w < wEnd4; w += 4) total += words[w] + words[w + 1] + words[w + 2] + words[w + 3];
  for (; w < wEnd; w++) total += words[w];
  at = offset + length - (end & 3);
  if ((end & 2) !== 0) {
    total += view[at] | (view[at + 1] << 8);
    at += 2;
  }
  if ((end & 1) !== 0) total += view[at];

  const high = Math.floor(total / 0x1_0000_0000);
  const low = total >>> 0;
  const folded = fold16((low & 0xffff) + (low >>> 16) + high);
  // From an odd address on, memory's pairs are the data's pairs shifted by one byte, and so already swapped.
  return odd ? sum + folded + (view[offset] << 8) : sum + swap16(folded);
}

/** Adds the carries of a partial sum below 2^32 back in. */
function fold16(sum: number): number {
  let folded = (sum & 0xffff) + (sum >>> 16);
  folded = (folded & 0xffff) + (folded >>> 16);
  return folded;
}

function swap16(word: number): number {
  return ((word & 0xff) << 8) | (word >>> 8);
}
