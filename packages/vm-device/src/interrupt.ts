/**
 * How a device interrupts a processor: with a level-triggered line, or with a message.
 * @module
 */

/** A level-triggered interrupt line. Both calls are idempotent. */
export interface InterruptLine {
  /** Asserts the line. */
  raise(): void;
  /** Deasserts the line. */
  lower(): void;
}

/** Takes message-signalled interrupts: 32-bit writes to a special address. */
export interface MsiSink {
  /**
   * Delivers one message.
   * @param address the address the driver programmed, below 2^53
   * @param data the 32 bits to write there
   */
  send(address: number, data: number): void;
}
