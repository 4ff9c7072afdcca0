/**
 * The notification structure, which drivers write when buffers are available (VIRTIO 1.4, 4.1.4.4 and 4.1.5.2). Hot: a
 * kick is two checks and a shift.
 * @module
 */

import { VIRTIO_F_NOTIFICATION_DATA } from "@virtio-ts/virtio-bindings";
import type { DeviceCore } from "@virtio-ts/virtio-device";
import type { AccessWidth, RegisterBlock } from "@virtio-ts/vm-device";
import { VirtioPciError } from "./errors.ts";

/** The default `notify_off_multiplier`: an address for each queue, wide enough for 32-bit values. */
export const DEFAULT_NOTIFY_MULTIPLIER = 4;

/** Largest multiplier: a page for each queue. */
const MOST = 0x1000;
/** The bit in the second 32 features. */
const NOTIFICATION_DATA = 1 << (VIRTIO_F_NOTIFICATION_DATA - 32);

/** Bytes of the notification structure for `queueCount` queues. */
export function notifyLength(queueCount: number, multiplier: number): number {
  return Math.max(queueCount - 1, 0) * multiplier + 4;
}

/** The queue notify addresses: queue `i` at `i * multiplier`; all at 0 if the multiplier is 0. */
export class NotifyRegisters implements RegisterBlock {
  readonly size: number;
  readonly #core: DeviceCore;
  readonly #multiplier: number;
  readonly #shift: number;

  /**
   * @param multiplier `notify_off_multiplier`: 0, or a power of 2 of at least a notification's bytes
   * @throws VirtioPciError `notify-multiplier`
   */
  constructor(core: DeviceCore, multiplier: number) {
    const least = (core.deviceFeatures(1) & NOTIFICATION_DATA) !== 0 ? 4 : 2;
    if (multiplier !== 0 && (multiplier < least || multiplier > MOST || !Number.isInteger(Math.log2(multiplier)))) {
      throw new VirtioPciError(
        "notify-multiplier",
        `notify_off_multiplier ${multiplier}: not 0 or a power of 2 from ${least} to ${MOST}`,
      );
    }
    this.#core = core;
    this.#multiplier = multiplier;
    this.#shift = multiplier === 0 ? 0 : Math.log2(multiplier);
    this.size = notifyLength(core.queueCount, multiplier);
  }

  read(): number {
    return 0;
  }

  /** A notification is a whole value at a queue's own address: 16 bits, or 32 with the index in the low half. */
  write(offset: number, width: AccessWidth, value: number): void {
    if (width === 1) return;
    if (this.#multiplier === 0) {
      if (offset === 0) this.#core.notify(value & 0xffff);
    } else if ((offset & (this.#multiplier - 1)) === 0) {
      this.#core.notify(offset >>> this.#shift);
    }
  }
}
