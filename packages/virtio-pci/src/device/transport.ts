/**
 * The state that the modern and the legacy registers of one function share: the state machine, the interrupts, and
 * PCI's additions to status writes (VIRTIO 1.4, 4.1.4.3 and 4.1.4.10).
 * @module
 */

import { STATUS_DRIVER, STATUS_DRIVER_OK } from "@virtio-ts/virtio-bindings";
import type { DeviceCore } from "@virtio-ts/virtio-device";
import { PCI_COMMAND_BUS_MASTER, type PciConfigSpace } from "@virtio-ts/vm-device";
import { NO_VECTOR } from "../layout/common-config.ts";
import type { PciInterrupts } from "./interrupts.ts";
import type { PciTransportState } from "./snapshot.ts";

/** One function's transport state. A snapshot holds this, the configuration space and the MSI-X table. */
export class PciTransport {
  /** The state machine. */
  readonly core: DeviceCore;
  /** The interrupts. */
  readonly interrupts: PciInterrupts;
  /** `device_feature_select`. */
  deviceFeatureSelect = 0;
  /** `driver_feature_select`. */
  driverFeatureSelect = 0;
  /** `config_generation` as last presented, 8 bits. */
  generation = 0;
  /** The state machine's generation at that time. */
  generationSeen = 0;
  /** Whether a legacy driver was refused: every BAR reads as zero and ignores writes until the function is reset. */
  refused = false;
  /** Whether the function is on a bus. Off the bus, status writes other than a reset have no effect. */
  plugged = false;
  readonly #space: PciConfigSpace;

  constructor(core: DeviceCore, interrupts: PciInterrupts, space: PciConfigSpace) {
    this.core = core;
    this.interrupts = interrupts;
    this.#space = space;
  }

  /** The driver writes device status. */
  writeStatus(value: number, legacy: boolean): void {
    if (value === 0) this.reset();
    else if (this.plugged) {
      // Linux before 2.6.34 drives the device without making it bus master.
      if (legacy && (value & (STATUS_DRIVER | STATUS_DRIVER_OK)) !== 0) this.#space.setCommand(PCI_COMMAND_BUS_MASTER);
      this.core.writeStatus(value, legacy);
    }
  }

  /**
   * The 8 bits advance by one if anything has changed since the last read, even if it changed many times. So they never
   * wrap around to a value that a driver has just seen (4.1.4.3.1).
   */
  presentGeneration(): number {
    const current = this.core.configGeneration;
    if (current !== this.generationSeen) {
      this.generationSeen = current;
      this.generation = (this.generation + 1) & 0xff;
    }
    return this.generation;
  }

  /** Resets the virtio device and the transport's own state. */
  reset(): void {
    this.core.reset();
    this.interrupts.reset();
    this.deviceFeatureSelect = 0;
    this.driverFeatureSelect = 0;
    this.refused = false;
  }

  /** The state as plain data, without the state machine's. */
  save(): PciTransportState {
    const { deviceFeatureSelect, driverFeatureSelect, generation, generationSeen, refused } = this;
    return {
      deviceFeatureSelect,
      driverFeatureSelect,
      generation: [generation, generationSeen],
      refused,
      ...this.interrupts.save(),
    };
  }

  /** Restores state from {@link save}, already checked. */
  restore(state: PciTransportState): void {
    this.deviceFeatureSelect = state.deviceFeatureSelect;
    this.driverFeatureSelect = state.driverFeatureSelect;
    [this.generation, this.generationSeen] = state.generation;
    this.refused = state.refused;
    this.interrupts.restore(state);
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

  /** The selected queue's vector. NO_VECTOR if there is no such queue, because mapping it fails. */
  get queueVector(): number {
    const { interrupts, core } = this;
    return core.selectedQueue === null ? NO_VECTOR : interrupts.queueVectors[core.queueSelect];
  }
}
