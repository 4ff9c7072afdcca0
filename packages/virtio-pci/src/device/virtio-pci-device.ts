/**
 * A virtio device as a PCI function (VIRTIO 1.4, 4.1): connects the registers to the state machine. For machines with
 * a PCI bus.
 * @module
 */

import { feature, VIRTIO_F_RING_RESET } from "@virtio-ts/virtio-bindings";
import {
  DeviceCore,
  type DeviceCoreOptions,
  declaredQueueSizes,
  missingOption,
  RestoreError,
  type VirtioDevice,
} from "@virtio-ts/virtio-device";
import {
  type AccessWidth,
  addExpress,
  addPowerManagement,
  PCI_COMMAND_BUS_MASTER,
  type PciBar,
  type PciBarKind,
  PciConfigSpace,
  type PciFunction,
  type PciHost,
  type PciIdentity,
  type RegisterBlock,
} from "@virtio-ts/vm-device";
import { MSIX_CONTROL } from "../layout/msix.ts";
import {
  addMsixCapability,
  addSharedMemoryCapabilities,
  addStructureCapabilities,
  addVendorData,
  type VendorData,
} from "./capabilities.ts";
import { VirtioPciError } from "./errors.ts";
import { bearsLegacyId, type VirtioPciMode, virtioIdentity } from "./identity.ts";
import { PciInterrupts } from "./interrupts.ts";
import { LegacyRegisters } from "./legacy.ts";
import { LegacyRefusal, unlessRefused } from "./legacy-refusal.ts";
import { ModernRegisters } from "./modern.ts";
import { MsixTable } from "./msix.ts";
import { DEFAULT_NOTIFY_MULTIPLIER, notifyLength } from "./notify.ts";
import { addPciCfgAccess } from "./pci-cfg-access.ts";
import { registerLayout } from "./register-layout.ts";
import { SharedMemoryWindow } from "./shared-memory.ts";
import { parsePciState, type VirtioPciState } from "./snapshot.ts";
import { PciTransport } from "./transport.ts";

/** The options of a {@link VirtioPciDevice}. */
export interface VirtioPciOptions extends Omit<DeviceCoreOptions, "interrupts"> {
  /** Interfaces to offer; `modern` by default. */
  readonly mode?: VirtioPciMode;
  /**
   * `msix` (default) offers MSI-X and the interrupt pin, `intx` only the pin. A machine that takes no messages sees no
   * MSI-X ({@link PciHost.msi}).
   */
  readonly interrupt?: "msix" | "intx";
  /** The interrupt pin: 1 INTA (default) to 4 INTD. */
  readonly interruptPin?: number;
  /** Kind of the BAR that holds the modern structures; `memory` (default), of 64 bits, or `io`. */
  readonly bar?: "io" | "memory";
  /** MSI-X vectors, 1 to 2048; by default one for each queue and one for configuration changes. */
  readonly vectors?: number;
  /**
   * `notify_off_multiplier`: 4 by default, another power of 2 (from 2, or from 4 if NOTIFICATION_DATA is offered), or
   * 0 for one address for all queues.
   */
  readonly notifyMultiplier?: number;
  /**
   * Whether it is a PCI Express function: with power management, function level reset and 4 KiB of configuration
   * space, without I/O ports. `false` by default.
   */
  readonly express?: boolean;
  /**
   * Ports that the legacy interface's BAR decodes, a power of two; 32 by default. It decodes more if its registers need
   * more.
   */
  readonly legacyPorts?: number;
  /** Capabilities with vendor data; none by default. */
  readonly vendorData?: readonly VendorData[];
  /** Features of notifications and queues to offer; {@link DEFAULT_TRANSPORT_FEATURES} by default. */
  readonly transportFeatures?: bigint;
  /** Identity registers that replace the standard's. */
  readonly identity?: Partial<PciIdentity>;
}

/** Features that the transport offers by default: VIRTIO_F_RING_RESET. */
export const DEFAULT_TRANSPORT_FEATURES: bigint = feature(VIRTIO_F_RING_RESET);

/** Ports that the legacy interface's BAR decodes by default, at least. */
const DEFAULT_LEGACY_PORTS = 32;

/** The BARs. A memory BAR takes two registers, except MSI-X's. The legacy interface must be in BAR0. */
const LEGACY_BAR = 0;
const MSIX_BAR = 1;
const STRUCTURES_BAR = 2;
const SHARED_MEMORY_BAR = 4;

/** A virtio device as a PCI function. After construction only {@link restore} throws. */
export class VirtioPciDevice implements PciFunction {
  /** The state machine, with its counters. */
  readonly core: DeviceCore;
  /** Configuration space. */
  readonly space: PciConfigSpace;
  readonly #transport: PciTransport;
  readonly #interrupts: PciInterrupts;
  readonly #msix: MsixTable | null;
  /** Whether a legacy driver may mistake the function for a legacy device, and is refused. */
  readonly #refuses: boolean;
  /** Offset of the MSI-X capability. */
  #msixCapability = 0;
  #host: PciHost | null = null;

  /**
   * @throws VirtioPciError, PciConfigError if an option is missing, or the options do not fit the device;
   * QueueConfigError `size` if it declares a queue whose size is neither a power of two up to 32768 nor 0
   */
  constructor(device: VirtioDevice, options: VirtioPciOptions) {
    const missing = missingOption({
      device: [device, "a VirtioDevice"],
      options: [options, "an object with memory and scheduler"],
      "options.memory": [options?.memory, "a GuestMemory"],
      "options.scheduler": [options?.scheduler, "a Scheduler"],
    });
    if (missing !== null) throw new VirtioPciError("option", missing);
    const mode = options.mode ?? "modern";
    // 4.1.4.3.1: queue_size is a power of two until packed queues are negotiated.
    const queues = declaredQueueSizes(device, false).length;
    this.#msix = options.interrupt === "intx" ? null : new MsixTable(options.vectors ?? queues + 1);
    const identity = virtioIdentity(device.deviceType, mode, options.identity);
    this.space = new PciConfigSpace({
      identity,
      interruptPin: options.interruptPin ?? 1,
      extended: options.express ?? false,
      onActivity: () => this.#activityChanged(),
    });
    this.#interrupts = new PciInterrupts(queues, this.space, this.#msix);
    const transportFeatures = options.transportFeatures ?? DEFAULT_TRANSPORT_FEATURES;
    this.core = new DeviceCore(device, { ...options, transportFeatures, interrupts: this.#interrupts });
    this.core.barred = true;
    this.#transport = new PciTransport(this.core, this.#interrupts, this.space);
    this.#refuses = mode === "modern" && bearsLegacyId(identity);
    if (mode !== "modern") {
      const ports = options.legacyPorts ?? DEFAULT_LEGACY_PORTS;
      this.#addBar(LEGACY_BAR, "io", new LegacyRegisters(this.#transport, this.#msix !== null, ports));
    } else if (this.#refuses) this.#addBar(LEGACY_BAR, "io", new LegacyRefusal(this.#transport));
    if (mode !== "legacy") this.#addModern(options);
    if (this.#msix !== null) this.#addMsix(this.#msix);
    if (options.express === true) this.#addExpress();
  }

  get bars(): readonly PciBar[] {
    return this.space.bars;
  }

  configRead(offset: number, width: AccessWidth): number {
    return this.space.read(offset, width);
  }

  configWrite(offset: number, width: AccessWidth, value: number): void {
    this.space.write(offset, width, value);
  }

  plug(host: PciHost): void {
    this.unplug();
    this.#host = host;
    if (this.#msix !== null && host.msi === null) {
      this.space.hideCapability(this.#msixCapability);
      this.#interrupts.withoutMsix();
    }
    this.#transport.plugged = true;
    this.#interrupts.connect(host);
    this.space.plug(host);
  }

  unplug(): void {
    if (this.#host === null) return;
    this.#host = null;
    this.#transport.plugged = false;
    this.#transport.reset();
    this.#interrupts.connect(null);
    this.space.unplug();
  }

  /** Bus reset, for example with the machine's: resets the virtio device and all PCI registers. */
  reset(): void {
    this.#transport.reset();
    this.#msix?.reset();
    this.space.reset();
  }

  /** Unplugs the function and removes the device from the machine, for good. */
  async remove(): Promise<void> {
    this.unplug();
    await this.core.remove();
  }

  /**
   * The state of the function and of its device, as plain data. The machine saves guest memory itself. Do not call this
   * from within a call of the device.
   */
  save(): VirtioPciState {
    const core = this.core.save(); // first, because the device may return buffers
    return { version: 1, config: this.space.save(), ...this.#transport.save(), core };
  }

  /**
   * Restores state from {@link save} into a function that is plugged in and in reset. BARs and interrupts are as they
   * were, and a live device continues.
   * @throws RestoreError if `state` is not the saved state of an identical function; nothing is changed then
   */
  restore(state: unknown): void {
    const { config, core, ...transport } = parsePciState(state, this.save());
    if (!this.space.accepts(config)) {
      throw new RestoreError("mismatch", "the saved configuration space is not that of a function like this one");
    }
    if (transport.refused && !this.#refuses) {
      throw new RestoreError("mismatch", "the saved function refused a legacy driver, which this one never does");
    }
    const before = this.#transport.save();
    try {
      // Bars DMA and holds messages back until the function may use the bus again.
      this.#setBusMaster(false);
      this.#transport.restore(transport);
      this.#msix?.control(this.#messageControl(config));
      this.core.restore(core);
    } catch (cause) {
      this.#transport.restore(before);
      this.#msix?.control(this.#messageControl(this.space.bytes));
      this.#activityChanged();
      throw cause;
    }
    this.space.restore(config);
  }

  /** Updates DMA and interrupts. Configuration space updates decoding itself. */
  #activityChanged(): void {
    this.#setBusMaster((this.space.activity & PCI_COMMAND_BUS_MASTER) !== 0);
    this.#interrupts.update();
  }

  #setBusMaster(busMaster: boolean): void {
    this.core.barred = !busMaster;
    this.#msix?.setBusMaster(busMaster);
  }

  /** MSI-X message control in the contents of configuration space. */
  #messageControl(config: ArrayLike<number>): number {
    const at = this.#msixCapability + MSIX_CONTROL;
    return config[at] | (config[at + 1] << 8);
  }

  /**
   * Adds a BAR.
   * @returns the registers behind it
   */
  #addBar(index: number, kind: PciBarKind, registers: RegisterBlock): RegisterBlock {
    const block = this.#refuses ? unlessRefused(this.#transport, registers) : registers;
    // Only memory is prefetchable: reads of registers have side effects, such as that of ISR status.
    const prefetchable = registers instanceof SharedMemoryWindow;
    this.space.addBar({ index, kind, size: block.size, prefetchable, block });
    return block;
  }

  #addModern(options: VirtioPciOptions): void {
    const bar = options.bar ?? "memory";
    const multiplier = options.notifyMultiplier ?? DEFAULT_NOTIFY_MULTIPLIER;
    const places = registerLayout(bar, this.core.config.size, notifyLength(this.core.queueCount, multiplier));
    const registers = new ModernRegisters(this.#transport, places, multiplier);
    const block = this.#addBar(STRUCTURES_BAR, bar === "io" ? "io" : "memory64", registers);
    const reachable = new Map([[STRUCTURES_BAR, block]]);
    addStructureCapabilities(this.space, STRUCTURES_BAR, places, multiplier);
    const memory = this.core.sharedMemory;
    if (memory !== null) {
      reachable.set(SHARED_MEMORY_BAR, this.#addBar(SHARED_MEMORY_BAR, "memory64", new SharedMemoryWindow(memory)));
      addSharedMemoryCapabilities(this.space, SHARED_MEMORY_BAR, memory);
    }
    addPciCfgAccess(this.space, reachable);
    for (const data of options.vendorData ?? []) addVendorData(this.space, data);
  }

  #addMsix(msix: MsixTable): void {
    this.#addBar(MSIX_BAR, "memory32", msix);
    this.#msixCapability = addMsixCapability(this.space, MSIX_BAR, msix, () => this.#interrupts.update());
  }

  /** @throws VirtioPciError `express` */
  #addExpress(): void {
    const ports = this.bars.find(({ kind }) => kind === "io");
    if (ports !== undefined) {
      throw new VirtioPciError("express", `BAR ${ports.index} is of I/O, which a PCI Express function can't have`);
    }
    addPowerManagement(this.space);
    addExpress(this.space, () => this.reset());
  }
}
