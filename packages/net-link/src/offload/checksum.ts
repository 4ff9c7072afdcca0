/**
 * The internet checksum (RFC 1071): the ones' complement sum of 16-bit words that IPv4, TCP, UDP and ICMP carry. For
 * software offloads and for code that builds packets.
 *
 * A *partial sum* is a plain number. Big-endian words, such as those of a pseudo header, may be added to it directly:
 * it stays exact below 2^31. {@link checksumFold} turns it into the checksum.
 * @module
 */

import type { FrameBurst } from "../frame/burst.ts";

/** Shorter ranges are read in pairs of bytes: getting the buffer of a view costs more than words save. */
const SMALL = 64;
/** Bytes whose 32-bit words a double sums exactly: 2^20 words below 2^32 stay below 2^53. */
const CHUNK = 0x40_0000;

/**
 * Each buffer as words. The map is weak: a strong one would keep a dead machine's memory alive. A WeakMap look-up costs
 * 3 ns, a WeakRef of the last buffer 20 ns, a new view per call 18 ns and garbage (bench/checksum.ts).
 */
const wordsOf = new WeakMap<ArrayBufferLike, Uint32Array>();

/**
 * Adds a range of bytes to a partial sum. The range must start at an even position of the summed data, at any address
 * in memory. Only the last range may have an odd length ({@link checksumFrame} handles both).
 *
 * The range must lie inside the view; this is not checked.
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
 * @returns the checksum, 16 bits; store it most significant byte first. It is 0 for data that contains its own correct
 * checksum.
 */
export function checksumFold(sum: number): number {
  return ~fold16(sum) & 0xffff;
}

/**
 * Adds a range of a frame to a partial sum, across segments of any length.
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
      // At an odd position each byte lies in the other half of its word, so the sum of the range is byte-swapped too
      // (RFC 1071, 2 (B)).
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
 * Sums head and tail by bytes, the middle by aligned 32-bit words. The words are little-endian, as on every machine
 * with a JavaScript engine: the sum of swapped words is the swapped sum (RFC 1071, 2 (B)).
 */
function addWords(sum: number, view: Uint8Array, offset: number, length: number): number {
  const address = view.byteOffset + offset;
  if (address + length > 0xffff_ffff) return addPairs(sum, view, offset, length); // keeps the indices integers
  const start = address >>> 0;
  const end = (address + length) >>> 0;

  let total = 0;
  let at = offset;
  let aligned = start;
  if ((start & 1) !== 0) {
    at++;
    aligned = (aligned + 1) >>> 0;
  }
  if ((aligned & 2) !== 0) {
    total = view[at] | (view[at + 1] << 8);
    aligned = (aligned + 2) >>> 0;
  }
  total += sumWords(wordsIn(view.buffer, end), aligned >>> 2, end >>> 2);
  at = offset + length - (end & 3);
  if ((end & 2) !== 0) {
    total += view[at] | (view[at + 1] << 8);
    at += 2;
  }
  if ((end & 1) !== 0) total += view[at];

  const low = total >>> 0;
  const high = (total - low) / 0x1_0000_0000;
  const folded = fold16((low & 0xffff) + (low >>> 16) + high);
  // At an odd address the pairs in memory are the data's pairs shifted by one byte, so they are already swapped.
  return (start & 1) !== 0 ? sum + folded + (view[offset] << 8) : sum + swap16(folded);
}

/** Words summed into a double need no carries. This is a separate function so that its indices stay integers. */
function sumWords(words: Uint32Array, from: number, to: number): number {
  let total = 0;
  let w = from;
  for (const end = from + ((to - from) & ~3); w < end; w += 4) {
    total += words[w] + words[w + 1] + words[w + 2] + words[w + 3];
  }
  for (; w < to; w++) total += words[w];
  return total;
}

/** All words of a buffer, at least up to byte `end`: a growable buffer may have outgrown the cached array. */
function wordsIn(buffer: ArrayBufferLike, end: number): Uint32Array {
  let words = wordsOf.get(buffer);
  if (words === undefined || words.byteLength + 3 < end) {
    words = new Uint32Array(buffer, 0, Math.min(Math.floor(buffer.byteLength / 4), 0x3fff_ffff));
    wordsOf.set(buffer, words);
  }
  return words;
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
