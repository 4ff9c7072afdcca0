/**
 * The state that the registers of one device share: the state machine, the interrupts, and the transport's own state.
 * @module
 */

import type { DeviceCore } from "@virtio-ts/virtio-device";
import type { MmioInterrupts } from "./interrupts.ts";

/** GuestPageSize and QueueAlign until a driver sets them. */
const DEFAULT_PAGE = 4096;

/** The transport's state. A snapshot holds this, the interrupts and the state machine. */
export class MmioTransport {
  /** Version of the registers. */
  readonly version: 1 | 2;
  /** The state machine. */
  readonly core: DeviceCore;
  /** The interrupts. */
  readonly interrupts: MmioInterrupts;
  /** DeviceFeaturesSel. */
  deviceFeaturesSel = 0;
  /** DriverFeaturesSel. */
  driverFeaturesSel = 0;
  /** SHMSel. */
  shmSel = 0;
  /**
   * GuestPageSize: a power of 2. It survives the driver's resets, because Linux sets it when it finds the device, then
   * resets the device.
   */
  guestPageSize: number = DEFAULT_PAGE;
  /** QueueAlign of each queue: a power of 2. */
  readonly queueAligns: Uint32Array;

  constructor(version: 1 | 2, core: DeviceCore, interrupts: MmioInterrupts) {
    this.version = version;
    this.core = core;
    this.interrupts = interrupts;
    this.queueAligns = new Uint32Array(core.queueCount).fill(DEFAULT_PAGE);
  }

  /** Whether the interface is the legacy one. */
  get legacy(): boolean {
    return this.version === 1;
  }

  /** The driver writes Status. */
  writeStatus(value: number): void {
    if (value === 0) this.#clear();
    this.core.writeStatus(value, this.legacy);
  }

  /** The machine resets the virtio device and the transport's own state. */
  reset(): void {
    this.core.reset();
    this.#clear();
    this.guestPageSize = DEFAULT_PAGE;
  }

  /** Removes the virtio device from the machine, for good. */
  async remove(): Promise<void> {
    const removed = this.core.remove();
    this.#clear();
    await removed;
  }

  #clear(): void {
    this.deviceFeaturesSel = 0;
    this.driverFeaturesSel = 0;
    this.shmSel = 0;
    this.queueAligns.fill(DEFAULT_PAGE);
  }
}
