/**
 * Memory for the bytes of a burst's segments: handed out from one array, taken back all at once.
 * @module
 */

/** Bytes kept by `clear`: a larger array, which only an unusual burst needs, is released. */
const KEPT = 0x1_0000;

/** A growing array, handed out in pieces. */
export class Scratch {
  /** The array the last piece lies in. */
  bytes: Uint8Array = new Uint8Array(4096);
  #used = 0;

  /**
   * Hands out `length` bytes, not zeroed. Earlier pieces stay valid, even if `bytes` changes.
   * @returns where they start in `bytes`
   */
  reserve(length: number): number {
    if (this.#used + length > this.bytes.length) {
      this.bytes = new Uint8Array(Math.max(this.bytes.length * 2, length));
      this.#used = 0;
    }
    const at = this.#used;
    this.#used += length;
    return at;
  }

  /** Takes all pieces back. */
  clear(): void {
    if (this.bytes.length > KEPT) this.bytes = new Uint8Array(KEPT);
    this.#used = 0;
  }
}
