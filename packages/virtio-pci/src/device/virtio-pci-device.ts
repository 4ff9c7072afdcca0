/**
 * A virtio device as a PCI function (VIRTIO 1.4, 4.1): puts the registers over the state machine. For machines that
 * have a PCI bus.
 * @module
 */

import { DeviceCore, type DeviceCoreOptions, type SharedMemoryList, type VirtioDevice } from "@virtio-ts/virtio-device";
import {
  type AccessWidth,
  PCI_COMMAND_BUS_MASTER,
  type PciBar,
  PciConfigSpace,
  type PciFunction,
  type PciHost,
  type PciIdentity,
  type RegisterBlock,
} from "@virtio-ts/vm-device";
import { addMsixCapability, addSharedMemoryCapabilities, addStructureCapabilities } from "./capabilities.ts";
import { type VirtioPciMode, virtioIdentity } from "./identity.ts";
import { PciInterrupts } from "./interrupts.ts";
import { LegacyRegisters } from "./legacy.ts";
import { ModernRegisters } from "./modern.ts";
import { MsixTable } from "./msix.ts";
import { DEFAULT_NOTIFY_MULTIPLIER, notifyLength } from "./notify.ts";
import { addPciCfgAccess } from "./pci-cfg-access.ts";
import { registerLayout } from "./register-layout.ts";
import { SharedMemoryWindow } from "./shared-memory.ts";
import { PciTransport } from "./transport.ts";

/** What a {@link VirtioPciDevice} is made with. */
export interface VirtioPciOptions extends Omit<DeviceCoreOptions, "interrupts"> {
  /** Interfaces to offer; `modern` by default. */
  readonly mode?: VirtioPciMode;
  /**
   * `msix` (default) offers MSI-X beside the interrupt pin, `intx` the pin alone. MSI-X is not shown on a machine
   * that takes no messages ({@link PciHost.msi}).
   */
  readonly interrupt?: "msix" | "intx";
  /** The interrupt pin: 1 INTA (default) to 4 INTD. */
  readonly interruptPin?: number;
  /** Kind of the BAR that holds the modern structures; `memory` by default. */
  readonly bar?: "io" | "memory";
  /** MSI-X vectors, 1 to 2048; by default one for each queue and one for configuration changes. */
  readonly vectors?: number;
  /** `notify_off_multiplier`: 4 by default, a larger power of 2, or 0 for one address for all queues. */
  readonly notifyMultiplier?: number;
  /** Identity registers to show instead of the standard's. */
  readonly identity?: Partial<PciIdentity>;
}

/** The BARs. The legacy interface must be in BAR0; where there is none the modern registers are. */
const LEGACY_BAR = 0;
const MODERN_BAR = 0;
const MSIX_BAR = 1;
const TRANSITIONAL_MODERN_BAR = 2;
const SHARED_MEMORY_BAR = 4;

/** A virtio device as a PCI function. Once it is made nothing in it throws. */
export class VirtioPciDevice implements PciFunction {
  /** The state machine, with its counters. */
  readonly core: DeviceCore;
  /** Configuration space. */
  readonly space: PciConfigSpace;
  readonly #transport: PciTransport;
  readonly #interrupts: PciInterrupts;
  readonly #msix: MsixTable | null;
  /** Where the MSI-X capability is. */
  #msixCapability = 0;
  #host: PciHost | null = null;

  /** @throws VirtioPciError, PciConfigError where the options do not go together with the device */
  constructor(device: VirtioDevice, options: VirtioPciOptions) {
    const mode = options.mode ?? "modern";
    const queues = device.queueMaxSizes.length + ((device.controlQueueMaxSize ?? 0) > 0 ? 1 : 0);
    this.#msix = options.interrupt === "intx" ? null : new MsixTable(options.vectors ?? queues + 1);
    this.space = new PciConfigSpace({
      identity: virtioIdentity(device.deviceType, mode, options.identity),
      interruptPin: options.interruptPin ?? 1,
      onActivity: () => this.#activityChanged(),
    });
    this.#interrupts = new PciInterrupts(queues, this.space, this.#msix);
    this.core = new DeviceCore(device, { ...options, interrupts: this.#interrupts });
    this.#transport = new PciTransport(this.core, this.#interrupts);
    if (mode !== "modern") this.#addLegacy();
    if (mode !== "legacy") this.#addModern(mode, options);
    if (this.#msix !== null) this.#addMsix(this.#msix);
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

  /** Bus reset, as when the machine is reset: the virtio device and all PCI registers start anew. */
  reset(): void {
    this.#transport.reset();
    this.#msix?.reset();
    this.#msix?.control(0);
    this.space.reset();
  }

  /** Takes the function off its bus and the device out of the machine, for good. */
  async remove(): Promise<void> {
    this.unplug();
    await this.core.remove();
  }

  #activityChanged(): void {
    this.#msix?.setBusMaster((this.space.activity & PCI_COMMAND_BUS_MASTER) !== 0);
    this.#interrupts.update();
  }

  #addLegacy(): void {
    const block = new LegacyRegisters(this.#transport, this.#msix !== null);
    this.space.addBar(registers(LEGACY_BAR, "io", block));
  }

  #addModern(mode: VirtioPciMode, options: VirtioPciOptions): void {
    const kind = options.bar ?? "memory";
    const index = mode === "modern" ? MODERN_BAR : TRANSITIONAL_MODERN_BAR;
    const multiplier = options.notifyMultiplier ?? DEFAULT_NOTIFY_MULTIPLIER;
    const places = registerLayout(kind, this.core.config.size, notifyLength(this.core.queueCount, multiplier));
    const block = new ModernRegisters(this.#transport, places, multiplier);
    const reachable = new Map<number, RegisterBlock>([[index, block]]);
    this.space.addBar(registers(index, kind === "io" ? "io" : "memory32", block));
    addStructureCapabilities(this.space, index, places, multiplier);
    if (this.core.sharedMemory !== null)
      reachable.set(SHARED_MEMORY_BAR, this.#addSharedMemory(this.core.sharedMemory));
    addPciCfgAccess(this.space, reachable);
  }

  #addSharedMemory(list: SharedMemoryList): RegisterBlock {
    const block = new SharedMemoryWindow(list);
    this.space.addBar({ index: SHARED_MEMORY_BAR, kind: "memory64", size: block.size, prefetchable: true, block });
    addSharedMemoryCapabilities(this.space, SHARED_MEMORY_BAR, list);
    return block;
  }

  #addMsix(msix: MsixTable): void {
    this.space.addBar(registers(MSIX_BAR, "memory32", msix));
    this.#msixCapability = addMsixCapability(this.space, MSIX_BAR, msix, () => this.#interrupts.update());
  }
}

function registers(index: number, kind: "io" | "memory32", block: RegisterBlock): PciBar {
  return { index, kind, size: block.size, prefetchable: false, block };
}
