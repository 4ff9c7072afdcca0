/**
 * Numbered frames that both threads can tell.
 * @module
 */

const HEADER = 14;
const SHORTEST = 60;
const LENGTHS = 97;

/** Bytes of frame `number`. */
export function frameLength(number) {
  return SHORTEST + 4 * (number % LENGTHS);
}

/** Writes frame `number` at `start`. */
export function writeFrame(bytes, start, number) {
  bytes.fill(2, start, start + 12);
  bytes[start + 12] = 0x88;
  bytes[start + 13] = 0xb5;
  const end = start + frameLength(number);
  let word = number;
  for (let at = start + HEADER; at < end; at += 2) {
    bytes[at] = word;
    bytes[at + 1] = word >>> 8;
    word = (Math.imul(word, 0x9e3779b1) + 0x7f4a7c15) >>> 0;
  }
}

/** Throws unless frame `number` lies at `start`, with `length` bytes. */
export function checkFrame(bytes, start, length, number) {
  if (length !== frameLength(number)) throw new Error(`frame ${number} has ${length} bytes`);
  let word = number;
  for (let at = start + HEADER; at < start + length; at += 2) {
    if (bytes[at] !== (word & 0xff) || bytes[at + 1] !== ((word >>> 8) & 0xff)) {
      throw new Error(`frame ${number} is another one, from byte ${at - start} on`);
    }
    word = (Math.imul(word, 0x9e3779b1) + 0x7f4a7c15) >>> 0;
  }
}
