/**
 * The configuration space of a PCI function: the type 0 header, base address registers and the list of
 * capabilities (PCI Local Bus Specification 3.0, chapter 6). For functions of any kind, host bridges too.
 * @module
 */

import type { AccessWidth } from "./io.ts";
import type { PciBar, PciHost } from "./pci.ts";
import { PciBars } from "./pci-bars.ts";
import { PciConfigError } from "./pci-config-error.ts";
import * as header from "./pci-header.ts";

/** Who a function says it is. */
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

/** What a {@link PciConfigSpace} is made with. */
export interface PciConfigOptions {
  /** The identity registers. */
  readonly identity: PciIdentity;
  /** Interrupt pin: 0 none (default), 1 INTA to 4 INTD. */
  readonly interruptPin?: number;
  /** Called after each write to the command register, with its new value. */
  readonly onCommand?: (command: number) => void;
}

/** Takes part in a driver's accesses to a capability. Offsets count from the start of the capability. */
export interface PciCapabilityHooks {
  /** The driver is about to read bytes `start` to `end`, `end` not included. */
  reading?(start: number, end: number): void;
  /** The driver has written bytes `start` to `end`, `end` not included. */
  written?(start: number, end: number): void;
}

interface Capability {
  readonly offset: number;
  readonly end: number;
  readonly hooks: PciCapabilityHooks;
}

const COMMAND_BITS =
  header.PCI_COMMAND_IO | header.PCI_COMMAND_MEMORY | header.PCI_COMMAND_BUS_MASTER | header.PCI_COMMAND_INTX_DISABLE;

/**
 * 256 bytes of configuration space. Every byte has a mask of the bits a driver may write; the rest are read-only.
 * Nothing throws once it is built.
 */
export class PciConfigSpace {
  /** The contents. The function changes its own registers here. */
  readonly bytes: Uint8Array = new Uint8Array(header.PCI_CONFIG_SIZE);
  /** Little-endian fields of the contents. */
  readonly view: DataView;
  readonly #writable = new Uint8Array(header.PCI_CONFIG_SIZE);
  readonly #clearable = new Uint8Array(header.PCI_CONFIG_SIZE);
  readonly #bars: PciBars;
  readonly #capabilities: Capability[] = [];
  readonly #onCommand: ((command: number) => void) | null;
  #free = header.PCI_HEADER_END;
  #host: PciHost | null = null;
  /** What a bus reset brings back; taken when the function is first plugged in. */
  #initial: Uint8Array | null = null;

  constructor(options: PciConfigOptions) {
    const view = new DataView(this.bytes.buffer);
    const { identity } = options;
    view.setUint16(header.PCI_VENDOR_ID, identity.vendorId, true);
    view.setUint16(header.PCI_DEVICE_ID, identity.deviceId, true);
    view.setUint32(header.PCI_REVISION_ID, (identity.classCode << 8) | (identity.revision ?? 0), true);
    view.setUint16(header.PCI_SUBSYSTEM_VENDOR_ID, identity.subsystemVendorId ?? 0, true);
    view.setUint16(header.PCI_SUBSYSTEM_ID, identity.subsystemId ?? 0, true);
    view.setUint8(header.PCI_INTERRUPT_PIN, options.interruptPin ?? 0);
    this.view = view;
    this.#bars = new PciBars(this.bytes, this.#writable);
    this.#onCommand = options.onCommand ?? null;
    this.makeWritable(header.PCI_COMMAND, COMMAND_BITS & 0xff, COMMAND_BITS >> 8);
    this.makeWritable(header.PCI_CACHE_LINE_SIZE, 0xff);
    this.makeWritable(header.PCI_INTERRUPT_LINE, 0xff);
    this.#clearable[header.PCI_STATUS + 1] = header.PCI_STATUS_ERRORS >> 8;
  }

  /** The BARs by rising index. */
  get bars(): readonly PciBar[] {
    return this.#bars.list;
  }

  /** The command register. */
  get command(): number {
    return this.view.getUint16(header.PCI_COMMAND, true);
  }

  /** Sets the status register's Interrupt Status bit. */
  setInterruptStatus(pending: boolean): void {
    const rest = this.bytes[header.PCI_STATUS] & ~header.PCI_STATUS_INTERRUPT;
    this.bytes[header.PCI_STATUS] = pending ? rest | header.PCI_STATUS_INTERRUPT : rest;
  }

  /** Sets error bits of the status register; a driver clears each by writing a 1 to it. */
  setStatusErrors(bits: number): void {
    this.bytes[header.PCI_STATUS + 1] |= (bits & header.PCI_STATUS_ERRORS) >> 8;
  }

  /** Lets the driver write bits of the bytes from `offset` on: one mask for each byte. */
  makeWritable(offset: number, ...masks: readonly number[]): void {
    this.#writable.set(masks, offset);
  }

  /**
   * Adds a BAR. Before the function is plugged in.
   * @throws PciConfigError `bar-*`
   */
  addBar(bar: PciBar): void {
    this.#bars.add(bar);
  }

  /**
   * Adds a capability at the end of the list. Before the function is plugged in.
   * @param id its `PCI_CAP_ID_*`
   * @param body its contents from byte 2 on, after id and next pointer
   * @param writable masks of the bits of `body` a driver may write; none by default
   * @returns a view of the whole capability in configuration space; `byteOffset` is its place there
   * @throws PciConfigError `capability-space` when there is no room left, `capability-mask`
   */
  addCapability(id: number, body: Uint8Array, writable?: Uint8Array, hooks: PciCapabilityHooks = {}): DataView {
    const offset = this.#free;
    const end = offset + 2 + body.length;
    if (end > header.PCI_CONFIG_SIZE) {
      throw new PciConfigError("capability-space", `a capability of ${2 + body.length} bytes at offset ${offset}`);
    }
    if (writable !== undefined && writable.length !== body.length) {
      throw new PciConfigError("capability-mask", `a mask of ${writable.length} bytes for ${body.length}`);
    }
    this.bytes[this.#tail()] = offset;
    this.bytes[offset] = id;
    this.bytes.set(body, offset + 2);
    if (writable !== undefined) this.#writable.set(writable, offset + 2);
    this.bytes[header.PCI_STATUS] |= header.PCI_STATUS_CAPABILITIES;
    this.#capabilities.push({ offset, end, hooks });
    this.#free = (end + 3) & ~3;
    return new DataView(this.bytes.buffer, offset, end - offset);
  }

  /** Takes the capability at `offset` out of the list; its bytes stay, read-only. Harmless when it is not in it. */
  hideCapability(offset: number): void {
    const index = this.#capabilities.findIndex((capability) => capability.offset === offset);
    if (index < 0) return;
    const before = index === 0 ? header.PCI_CAPABILITIES_POINTER : this.#capabilities[index - 1].offset + 1;
    this.bytes[before] = this.bytes[offset + 1];
    const [hidden] = this.#capabilities.splice(index, 1);
    this.#writable.fill(0, hidden.offset, hidden.end);
    if (this.#capabilities.length === 0) this.bytes[header.PCI_STATUS] &= ~header.PCI_STATUS_CAPABILITIES;
  }

  /** A driver's read. Bytes past the end read as zero. */
  read(offset: number, width: AccessWidth): number {
    for (const capability of this.#capabilities) {
      if (offset >= capability.end || offset + width <= capability.offset) continue;
      capability.hooks.reading?.(
        Math.max(offset, capability.offset) - capability.offset,
        Math.min(offset + width, capability.end) - capability.offset,
      );
    }
    let value = 0;
    for (let i = width - 1; i >= 0; i--) value = value * 256 + (this.bytes[offset + i] ?? 0);
    return value;
  }

  /** A driver's write. Read-only bits and bytes past the end ignore it. */
  write(offset: number, width: AccessWidth, value: number): void {
    for (let i = 0; i < width && offset + i < header.PCI_CONFIG_SIZE; i++) this.#store(offset + i, value >>> (8 * i));
    if (offset < header.PCI_COMMAND + 2 && offset + width > header.PCI_COMMAND) this.#onCommand?.(this.command);
    if (offset < header.PCI_BAR0 + 24) this.#decode();
    for (const capability of this.#capabilities) {
      if (offset >= capability.end || offset + width <= capability.offset) continue;
      capability.hooks.written?.(
        Math.max(offset, capability.offset) - capability.offset,
        Math.min(offset + width, capability.end) - capability.offset,
      );
    }
  }

  /** The function is put on a bus: from now on the bus hears where its BARs are. */
  plug(host: PciHost): void {
    this.unplug();
    this.#initial ??= this.bytes.slice();
    this.#host = host;
    this.#decode();
  }

  /** The function is taken off its bus: its BARs are withdrawn. */
  unplug(): void {
    if (this.#host !== null) this.#bars.withdraw(this.#host);
    this.#host = null;
  }

  /** Bus reset: all registers as they were when the function was first plugged in. */
  reset(): void {
    if (this.#initial === null) return;
    this.bytes.set(this.#initial);
    this.#decode();
    this.#onCommand?.(this.command);
  }

  #store(at: number, value: number): void {
    const writable = this.#writable[at];
    const cleared = this.#clearable[at] & value;
    this.bytes[at] = (this.bytes[at] & ~writable & ~cleared) | (value & writable);
  }

  #decode(): void {
    if (this.#host !== null) this.#bars.place(this.command, this.#host);
  }

  /** The byte that holds the last next pointer. */
  #tail(): number {
    const last = this.#capabilities.at(-1);
    return last === undefined ? header.PCI_CAPABILITIES_POINTER : last.offset + 1;
  }
}
