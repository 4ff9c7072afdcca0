/**
 * ISR status: the reason why the interrupt pin is asserted; reading clears it (VIRTIO 1.4, 4.1.4.5). The modern and
 * the legacy registers share it.
 * @module
 */

/** The ISR status byte. */
export class IsrStatus {
  /** `ISR_QUEUE`, `ISR_CONFIG`. */
  bits = 0;
  readonly #changed: () => void;

  /** @param changed called when the status may have changed */
  constructor(changed: () => void) {
    this.#changed = changed;
  }

  /** Sets bits. */
  set(bits: number): void {
    this.bits |= bits;
    this.#changed();
  }

  /** A driver's read: returns the status and clears it. */
  readToClear(): number {
    const status = this.bits;
    this.clear();
    return status;
  }

  /** Clears all bits. */
  clear(): void {
    this.bits = 0;
    this.#changed();
  }
}
