/**
 * A virtio device as memory-mapped registers (VIRTIO 1.4, 4.2): connects the registers to the state machine. For
 * machines.
 * @module
 */

import { feature, VIRTIO_F_NOTIFICATION_DATA, VIRTIO_F_RING_RESET } from "@virtio-ts/virtio-bindings";
import {
  DeviceCore,
  type DeviceCoreOptions,
  declaredQueueSizes,
  missingOption,
  type VirtioDevice,
} from "@virtio-ts/virtio-device";
import { type AccessWidth, type InterruptLine, lowBytes, type RegisterBlock } from "@virtio-ts/vm-device";
import { DOORBELL_OFFSET, DOORBELL_SCALE, DRAGONBALL_WINDOW, MSI_COMMAND_VECTOR } from "../layout/dragonball.ts";
import { CONFIG } from "../layout/registers.ts";
import { type DragonballOptions, DragonballRegisters, dragonballVendorId } from "./dragonball.ts";
import { VirtioMmioError } from "./errors.ts";
import { MmioInterrupts } from "./interrupts.ts";
import { LegacyRegisters } from "./legacy.ts";
import { ModernRegisters } from "./modern.ts";
import { MsiVectors } from "./msi.ts";
import { ControlRegisters, type RegisterSet } from "./registers.ts";
import { type MmioState, restoreTransport, saveTransport } from "./snapshot.ts";
import { MmioTransport } from "./transport.ts";

/** The options of a {@link VirtioMmioDevice}. */
export interface VirtioMmioOptions extends Omit<DeviceCoreOptions, "interrupts"> {
  /** The interrupt line, level-triggered: asserted while InterruptStatus is not zero. */
  readonly line: InterruptLine;
  /** The interface to offer: 2 (default), or 1 for drivers from before version 1 of the standard. */
  readonly version?: 1 | 2;
  /** VendorID, 32 bits; by default 0x1af4, virtio's PCI vendor id. Dragonball's extensions have their own. */
  readonly vendorId?: number;
  /**
   * Any of VIRTIO_F_NOTIFICATION_DATA and VIRTIO_F_RING_RESET; the latter by default. Dragonball's messages exclude
   * RING_RESET, because their registers overlap QueueReset.
   */
  readonly transportFeatures?: bigint;
  /** Dragonball's extensions to offer; none by default. */
  readonly dragonball?: DragonballOptions;
}

const DEFAULT_VENDOR_ID = 0x1af4;
/** The window is whole pages, so that a guest can map it for one driver alone. */
const PAGE = 0x1000;

/**
 * A virtio device as memory-mapped registers. A control register is written by an aligned access of 32 bits; other
 * writes are ignored. A read of any width returns the bytes there. After construction no access throws.
 */
export class VirtioMmioDevice implements RegisterBlock {
  /** The state machine, with its counters. */
  readonly core: DeviceCore;
  readonly size: number;
  /** Dragonball's message vectors: one for the configuration and one for each queue, or 0 without messages. */
  readonly vectors: number;
  readonly #transport: MmioTransport;
  readonly #registers: RegisterSet;
  readonly #dragonball: DragonballRegisters | null;

  /**
   * @throws VirtioMmioError if an option is missing, or the options do not fit the device; QueueConfigError `size` if
   * the device declares a queue of an invalid size: see `VirtioDevice.queueMaxSizes`
   */
  constructor(device: VirtioDevice, options: VirtioMmioOptions) {
    const missing = missingOption({
      device: [device, "a VirtioDevice"],
      options: [options, "an object with memory, scheduler and line"],
      "options.memory": [options?.memory, "a GuestMemory"],
      "options.scheduler": [options?.scheduler, "a Scheduler"],
      "options.line": [options?.line, "an InterruptLine"],
    });
    if (missing !== null) throw new VirtioMmioError("option", missing);
    const { dragonball, line, version = 2 } = options;
    const queues = declaredQueueSizes(device, version !== 1).length;
    if (dragonball !== undefined) checkExtensions(dragonball, version, queues, device.configSize ?? 0);
    const msi = dragonball?.msi === undefined ? null : new MsiVectors(dragonball.msi, queues + 1);
    this.vectors = msi?.count ?? 0;
    const interrupts = new MmioInterrupts(line, msi);
    const { transportFeatures = feature(VIRTIO_F_RING_RESET) } = options;
    const possible = feature(VIRTIO_F_NOTIFICATION_DATA) | (msi === null ? feature(VIRTIO_F_RING_RESET) : 0n);
    this.core = new DeviceCore(device, { ...options, interrupts, transportFeatures: transportFeatures & possible });
    this.#transport = new MmioTransport(version, this.core, interrupts);
    const others = version === 1 ? new LegacyRegisters(this.#transport) : new ModernRegisters(this.#transport);
    const vendorId =
      dragonball === undefined ? (options.vendorId ?? DEFAULT_VENDOR_ID) : dragonballVendorId(dragonball);
    const control = new ControlRegisters(this.#transport, vendorId, others);
    this.#dragonball = dragonball === undefined ? null : new DragonballRegisters(control, this.core, msi, dragonball);
    this.#registers = this.#dragonball ?? control;
    this.size =
      dragonball === undefined ? Math.ceil((CONFIG + this.core.config.size) / PAGE) * PAGE : DRAGONBALL_WINDOW;
  }

  read(offset: number, width: AccessWidth): number {
    if (offset >= CONFIG) return this.core.config.read(offset - CONFIG, width);
    if (width === 4 && (offset & 3) === 0) return this.#registers.get(offset);
    let value = 0;
    for (let i = width - 1; i >= 0; i--) value = value * 256 + this.#byte(offset + i);
    return value;
  }

  write(offset: number, width: AccessWidth, value: number): void {
    const dragonball = this.#dragonball;
    if (offset >= CONFIG) {
      if (dragonball !== null && offset >= DOORBELL_OFFSET) dragonball.ring(offset - DOORBELL_OFFSET);
      else this.core.config.write(offset - CONFIG, width, value, this.#transport.legacy);
    } else if (width === 4) {
      if ((offset & 3) === 0) this.#registers.set(offset, lowBytes(value, 4));
    } else if (width === 2) {
      dragonball?.setShort(offset, lowBytes(value, 2));
    }
  }

  /** Machine reset: resets the device and all its registers. */
  reset(): void {
    this.#transport.reset();
  }

  /**
   * The whole state as plain data: the registers, the state machine and the device. Do not call this from within a call
   * of the device.
   */
  save(): MmioState {
    return saveTransport(this.#transport);
  }

  /**
   * Restores state from {@link save} into a device that is in reset. A live device continues at once; a pending
   * interrupt raises the line.
   * @throws RestoreError if `state` is not the saved state of an identical device; nothing is changed then
   */
  restore(state: unknown): void {
    restoreTransport(this.#transport, state);
  }

  /** Removes the device from the machine, for good. */
  remove(): Promise<void> {
    return this.#transport.remove();
  }

  #byte(at: number): number {
    if (at >= CONFIG) return this.core.config.read(at - CONFIG, 1);
    return (this.#registers.get(at & ~3) >>> (8 * (at & 3))) & 0xff;
  }
}

function checkExtensions(options: DragonballOptions, version: number, queues: number, configSize: number): void {
  if (version !== 2) throw new VirtioMmioError("dragonball", `Dragonball's extensions on version ${version}, not 2`);
  const config = DOORBELL_OFFSET - CONFIG;
  if (configSize > config) {
    throw new VirtioMmioError("config-size", `${configSize} bytes of configuration space, above ${config}`);
  }
  const doorbells = (DRAGONBALL_WINDOW - DOORBELL_OFFSET) / DOORBELL_SCALE;
  const most = Math.min(
    options.perQueueNotify ? doorbells : Number.POSITIVE_INFINITY,
    options.msi === undefined ? Number.POSITIVE_INFINITY : MSI_COMMAND_VECTOR,
  );
  if (queues > most) throw new VirtioMmioError("queue-count", `${queues} queues, above ${most}`);
}
