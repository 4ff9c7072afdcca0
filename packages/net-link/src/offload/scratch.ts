/**
 * Room for the bytes that a burst's segments point to: handed out from one array, all taken back at once.
 * @module
 */

/** Bytes that stay: more, which only an unusual burst needs, is given back. */
const KEPT = 0x1_0000;

/** A growing array that is handed out piece by piece. */
export class Scratch {
  /** The array the last piece lies in. */
  bytes: Uint8Array = new Uint8Array(4096);
  #used = 0;

  /**
   * Hands out `length` bytes, not cleared. What was handed out before stays good, even where `bytes` changes.
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
