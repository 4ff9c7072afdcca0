/**
 * The registers of the modern interface: one BAR with all virtio structures (VIRTIO 1.4, 4.1.4).
 * @module
 */

import type { AccessWidth, RegisterBlock } from "@virtio-ts/vm-device";
import { CommonConfig } from "./common-config.ts";
import { DeviceConfig } from "./device-config.ts";
import { NotifyRegisters } from "./notify.ts";
import type { RegisterLayout } from "./register-layout.ts";
import type { PciTransport } from "./transport.ts";

/** The virtio structures behind one BAR. Gaps between them read as zero and ignore writes. */
export class ModernRegisters implements RegisterBlock {
  readonly size: number;
  readonly #transport: PciTransport;
  readonly #common: CommonConfig;
  readonly #device: DeviceConfig;
  readonly #notify: NotifyRegisters;
  readonly #isrOffset: number;
  readonly #deviceOffset: number;
  readonly #notifyOffset: number;

  /** @throws VirtioPciError `notify-multiplier` */
  constructor(transport: PciTransport, layout: RegisterLayout, multiplier: number) {
    this.#transport = transport;
    this.#common = new CommonConfig(transport);
    this.#device = new DeviceConfig(transport.core.config);
    this.#notify = new NotifyRegisters(transport.core, multiplier);
    this.#isrOffset = layout.isr.offset;
    this.#deviceOffset = layout.device.offset;
    this.#notifyOffset = layout.notify.offset;
    this.size = layout.size;
  }

  read(offset: number, width: AccessWidth): number {
    // Notifications follow the device's configuration, which reads as zero past its end.
    if (offset >= this.#deviceOffset) return this.#device.read(offset - this.#deviceOffset, width);
    // Reading clears ISR status, so only an access to its own byte reads it.
    if (offset >= this.#isrOffset) return offset === this.#isrOffset ? this.#transport.interrupts.isr.readToClear() : 0;
    return this.#common.read(offset, width);
  }

  write(offset: number, width: AccessWidth, value: number): void {
    if (offset >= this.#notifyOffset) this.#notify.write(offset - this.#notifyOffset, width, value);
    else if (offset >= this.#deviceOffset) this.#device.write(offset - this.#deviceOffset, width, value);
    else if (offset < this.#isrOffset) this.#common.write(offset, width, value);
  }
}
