/**
 * What the modern and the legacy registers of one function share: the state machine, the interrupts, and what
 * status writes do on top (VIRTIO 1.4, 4.1.4.3 and 4.1.4.10).
 * @module
 */

import type { DeviceCore } from "@virtio-ts/virtio-device";
import { NO_VECTOR } from "../layout/common-config.ts";
import type { PciInterrupts } from "./interrupts.ts";

/** One function's transport state. Snapshots are of this, the configuration space and the MSI-X table. */
export class PciTransport {
  /** The state machine. */
  readonly core: DeviceCore;
  /** The interrupts. */
  readonly interrupts: PciInterrupts;
  /** `device_feature_select`. */
  deviceFeatureSelect = 0;
  /** `driver_feature_select`. */
  driverFeatureSelect = 0;
  /** Whether the function is on a bus; otherwise no driver can bring it to life. */
  plugged = false;

  constructor(core: DeviceCore, interrupts: PciInterrupts) {
    this.core = core;
    this.interrupts = interrupts;
  }

  /** The driver writes device status. */
  writeStatus(value: number, legacy: boolean): void {
    if (value === 0) this.reset();
    else if (this.plugged) this.core.writeStatus(value, legacy);
  }

  /** Resets the virtio device and what this transport adds to it. */
  reset(): void {
    this.core.reset();
    this.interrupts.reset();
    this.deviceFeatureSelect = 0;
    this.driverFeatureSelect = 0;
  }

  /** The driver maps configuration changes to a vector. */
  mapConfigVector(vector: number): void {
    this.interrupts.configVector = this.interrupts.mappable(vector);
  }

  /** The driver maps the selected queue to a vector. */
  mapQueueVector(vector: number): void {
    const { interrupts, core } = this;
    if (core.selectedQueue !== null) interrupts.queueVectors[core.queueSelect] = interrupts.mappable(vector);
  }

  /** The selected queue's vector. Where there is no queue no mapping succeeds: NO_VECTOR says so. */
  get queueVector(): number {
    const { interrupts, core } = this;
    return core.selectedQueue === null ? NO_VECTOR : interrupts.queueVectors[core.queueSelect];
  }
}
