/**
 * ISR status: why the interrupt pin is up; reading clears it (VIRTIO 1.4, 4.1.4.5). The modern and the legacy
 * registers show the same one.
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

  /** A driver's read: the status, which is zero afterwards. */
  readToClear(): number {
    const status = this.bits;
    this.clear();
    return status;
  }

  /** Makes it zero. */
  clear(): void {
    this.bits = 0;
    this.#changed();
  }
}
