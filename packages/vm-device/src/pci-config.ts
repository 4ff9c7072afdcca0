/**
 * The configuration space of a PCI function: the type 0 header, base address registers and the list of
 * capabilities (PCI Local Bus Specification 3.0, chapter 6). For functions of any kind, including host bridges.
 * @module
 */

import type { AccessWidth } from "./io.ts";
import type { PciBar, PciHost } from "./pci.ts";
import { PciBars } from "./pci-bars.ts";
import { PciCapabilities, type PciCapabilityHooks } from "./pci-capabilities.ts";
import * as header from "./pci-header.ts";

/** The identity registers of a function. */
export interface PciIdentity {
  /** Vendor id. */
  readonly vendorId: number;
  /** Device id. */
  readonly deviceId: number;
  /** Revision id; 0 by default. */
  readonly revision?: number;
  /** Class code, 24 bits: base class, subclass, programming interface. */
  readonly classCode: number;
  /** Subsystem vendor id; 0 by default. */
  readonly subsystemVendorId?: number;
  /** Subsystem id; 0 by default. */
  readonly subsystemId?: number;
}

/** The options of a {@link PciConfigSpace}. */
export interface PciConfigOptions {
  /** The identity registers. */
  readonly identity: PciIdentity;
  /** Interrupt pin: 0 none (default), 1 INTA to 4 INTD. */
  readonly interruptPin?: number;
  /** Whether the space has the 4096 bytes of a PCI Express function; 256 by default. */
  readonly extended?: boolean;
  /** Called after each write that may have changed {@link PciConfigSpace.activity}. */
  readonly onActivity?: () => void;
}

const COMMAND_BITS =
  header.PCI_COMMAND_IO | header.PCI_COMMAND_MEMORY | header.PCI_COMMAND_BUS_MASTER | header.PCI_COMMAND_INTX_DISABLE;

/**
 * Configuration space. Every byte has a mask of the bits a driver may write; the other bits are read-only. Nothing
 * throws after the space is built.
 */
export class PciConfigSpace {
  /** The contents. The function updates its own registers here. */
  readonly bytes: Uint8Array;
  /** Little-endian fields of the contents. */
  readonly view: DataView;
  readonly #writable: Uint8Array;
  readonly #clearable: Uint8Array;
  readonly #bars: PciBars;
  readonly #capabilities: PciCapabilities;
  readonly #onActivity: (() => void) | null;
  #asleep = false;
  #host: PciHost | null = null;
  /** The contents that a bus reset restores; captured when the function is first plugged in. */
  #initial: Uint8Array | null = null;

  constructor(options: PciConfigOptions) {
    const size = options.extended === true ? header.PCI_EXTENDED_CONFIG_SIZE : header.PCI_CONFIG_SIZE;
    this.bytes = new Uint8Array(size);
    this.view = new DataView(this.bytes.buffer);
    this.#writable = new Uint8Array(size);
    this.#clearable = new Uint8Array(size);
    this.#bars = new PciBars(this.bytes, this.#writable);
    this.#capabilities = new PciCapabilities(this.bytes, this.#writable);
    this.#onActivity = options.onActivity ?? null;
    this.#identify(options.identity);
    this.bytes[header.PCI_INTERRUPT_PIN] = options.interruptPin ?? 0;
    this.makeWritable(header.PCI_COMMAND, COMMAND_BITS & 0xff, COMMAND_BITS >> 8);
    this.makeWritable(header.PCI_CACHE_LINE_SIZE, 0xff);
    this.makeWritable(header.PCI_INTERRUPT_LINE, 0xff);
    this.#clearable[header.PCI_STATUS + 1] = header.PCI_STATUS_ERRORS >> 8;
  }

  /** The BARs, by ascending index. */
  get bars(): readonly PciBar[] {
    return this.#bars.list;
  }

  /**
   * The command register as it takes effect. A function that is asleep decodes nothing, starts no access and does not
   * assert its interrupt pin.
   */
  get activity(): number {
    return this.#asleep ? header.PCI_COMMAND_INTX_DISABLE : this.view.getUint16(header.PCI_COMMAND, true);
  }

  /** Whether the function is asleep: only its configuration space can be reached. */
  get asleep(): boolean {
    return this.#asleep;
  }

  /** Puts the function to sleep, or wakes it. For power management. */
  setAsleep(asleep: boolean): void {
    if (asleep === this.#asleep) return;
    this.#asleep = asleep;
    this.#activityChanged();
  }

  /** Sets bits of the command register, with the effects of a driver's write. */
  setCommand(bits: number): void {
    this.write(header.PCI_COMMAND, 2, this.view.getUint16(header.PCI_COMMAND, true) | bits);
  }

  /** Sets the status register's Interrupt Status bit. */
  setInterruptStatus(pending: boolean): void {
    const rest = this.bytes[header.PCI_STATUS] & ~header.PCI_STATUS_INTERRUPT;
    this.bytes[header.PCI_STATUS] = pending ? rest | header.PCI_STATUS_INTERRUPT : rest;
  }

  /** Sets error bits of the status register; a driver clears a bit by writing a 1 to it. */
  setStatusErrors(bits: number): void {
    this.bytes[header.PCI_STATUS + 1] |= (bits & header.PCI_STATUS_ERRORS) >> 8;
  }

  /** Lets the driver write the bits in `masks`, one mask for each byte from `offset` on. */
  makeWritable(offset: number, ...masks: readonly number[]): void {
    this.#writable.set(masks, offset);
  }

  /**
   * Adds a BAR. Call this before the function is plugged in.
   * @throws PciConfigError `bar-*`
   */
  addBar(bar: PciBar): void {
    this.#bars.add(bar);
  }

  /**
   * Adds a capability at the end of the list. Call this before the function is plugged in.
   * @param id its `PCI_CAP_ID_*`
   * @param body its contents from byte 2 on, after id and next pointer
   * @param writable masks of the bits of `body` a driver may write; none by default
   * @returns a view of the whole capability in configuration space; its `byteOffset` is the capability's offset
   * @throws PciConfigError `capability-space` if no space is left, `capability-mask`
   */
  addCapability(id: number, body: Uint8Array, writable?: Uint8Array, hooks: PciCapabilityHooks = {}): DataView {
    return this.#capabilities.add(id, body, writable, hooks);
  }

  /** Removes the capability at `offset` from the list, if it is there. Its bytes stay, read-only. */
  hideCapability(offset: number): void {
    this.#capabilities.hide(offset);
  }

  /** A driver's read. Bytes past the end read as all ones, like an absent function. */
  read(offset: number, width: AccessWidth): number {
    this.#capabilities.reading(offset, width);
    let value = 0;
    for (let i = width - 1; i >= 0; i--) value = value * 256 + (this.bytes[offset + i] ?? 0xff);
    return value;
  }

  /** A driver's write. Read-only bits and bytes past the end ignore it. */
  write(offset: number, width: AccessWidth, value: number): void {
    for (let i = 0; i < width; i++) this.#store(offset + i, value >>> (8 * i));
    if (offset < header.PCI_COMMAND + 2 && offset + width > header.PCI_COMMAND) this.#activityChanged();
    else this.#decode();
    this.#capabilities.written(offset, width);
  }

  /** Plugs the function into a bus, which is told from now on where the BARs decode. */
  plug(host: PciHost): void {
    this.unplug();
    this.#initial ??= this.bytes.slice();
    this.#host = host;
    this.#decode();
  }

  /** Unplugs the function from its bus and withdraws its BARs. */
  unplug(): void {
    if (this.#host !== null) this.#bars.withdraw(this.#host);
    this.#host = null;
  }

  /** Bus reset: restores all registers to their contents when the function was first plugged in. */
  reset(): void {
    if (this.#initial !== null) this.#putBack(this.#initial);
  }

  /** The contents as plain data, including everything a driver has written. */
  save(): readonly number[] {
    return Array.from(this.bytes);
  }

  /** Whether {@link save} of an identical function on an identical machine can have returned these contents. */
  accepts(contents: readonly number[]): boolean {
    const own = header.PCI_STATUS_INTERRUPT; // the function sets it, never the driver
    return (
      contents.length === this.bytes.length &&
      this.bytes.every((byte, at) => {
        const free = this.#writable[at] | this.#clearable[at] | (at === header.PCI_STATUS ? own : 0);
        const saved = contents[at];
        return saved === (saved & 0xff) && ((saved ^ byte) & ~free) === 0;
      })
    );
  }

  /** Restores contents that it {@link accepts}: BARs and capabilities are as they were when saved. */
  restore(contents: readonly number[]): void {
    this.#putBack(contents);
  }

  #putBack(contents: ArrayLike<number>): void {
    this.bytes.set(contents);
    this.#capabilities.putBack();
    this.#activityChanged();
  }

  #identify(identity: PciIdentity): void {
    const { view } = this;
    view.setUint16(header.PCI_VENDOR_ID, identity.vendorId, true);
    view.setUint16(header.PCI_DEVICE_ID, identity.deviceId, true);
    view.setUint32(header.PCI_REVISION_ID, (identity.classCode << 8) | (identity.revision ?? 0), true);
    view.setUint16(header.PCI_SUBSYSTEM_VENDOR_ID, identity.subsystemVendorId ?? 0, true);
    view.setUint16(header.PCI_SUBSYSTEM_ID, identity.subsystemId ?? 0, true);
  }

  /** Past the end the mask is `undefined` and the array ignores the store. */
  #store(at: number, value: number): void {
    const writable = this.#writable[at];
    const cleared = this.#clearable[at] & value;
    this.bytes[at] = (this.bytes[at] & ~writable & ~cleared) | (value & writable);
  }

  #activityChanged(): void {
    this.#decode();
    this.#onActivity?.();
  }

  #decode(): void {
    if (this.#host !== null) this.#bars.place(this.activity, this.#host);
  }
}
