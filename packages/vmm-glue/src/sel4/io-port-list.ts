/**
 * A VM's list of emulated I/O ports, as the seL4 VMM support library has it: handlers for ranges of ports, and
 * one call that emulates an access. It is a face of an {@link AddressBus}, which is where the ports are.
 * For VMMs that come from there; VIRTIO 1.4, 4.1.4.10 is what the ports of a virtio device are.
 * @module
 */

import { type AccessWidth, lowBytes, type RegisterBlock } from "@virtio-ts/vm-device";
import { AddressBus, type BusMapping, PORT_SPACE } from "../bus/address-bus.ts";
import { BusError } from "../bus/bus-error.ts";
import type { Reservation } from "../bus/ledger.ts";
import { RangePool } from "../bus/range-pool.ts";

/** A range of ports. With `"free"` only its size counts, with `"address"` only start and end. */
export interface IoPortRange {
  /** First port. */
  readonly start: number;
  /** Last port: the range includes it. */
  readonly end: number;
  /** Ports. */
  readonly size: number;
}

/** Whether a range is to be found (`IOPORT_FREE`), or is given (`IOPORT_ADDR`). */
export type IoPortType = "free" | "address";

/** Emulates the ports of a range. */
export interface IoPortInterface<Cookie> {
  /** Handed to both functions. */
  readonly cookie: Cookie;
  /** The guest reads `size` bytes: the value, or `null` for an error. */
  portIn(cookie: Cookie, port: number, size: AccessWidth): number | null;
  /** The guest writes `size` bytes: whether that went well. */
  portOut(cookie: Cookie, port: number, size: AccessWidth, value: number): boolean;
  /** What it is, for people. */
  readonly description: string;
}

/** A handler in the list. */
export interface IoPortEntry {
  /** The ports it emulates. */
  readonly range: IoPortRange;
  /** What it is, for people. */
  readonly description: string;
  /** Takes it out of the list. Harmless when done twice. */
  remove(): void;
}

/** What {@link IoPortList.emulate} says: `handled` 0, `unhandled` 1, `error` -1 in the original. */
export interface IoPortResult {
  /** Whether a handler took the access, and whether it went well. */
  readonly outcome: "handled" | "unhandled" | "error";
  /** What a read gives; all ones where nothing answered. */
  readonly value: number;
}

/** Handlers for ranges of ports, none of which overlap. */
export class IoPortList {
  /** Where the ports are: a PCI bus and devices may map theirs here too. */
  readonly bus: AddressBus;
  /** Ranges that were found or given, whether something is mapped there or not. */
  readonly pool: RangePool;
  /** Accesses that a handler said it could not do. */
  #failures = 0;

  /**
   * @param allocAddress where free ranges are looked for, from here upwards
   * @param bus the machine's ports, where it has some already
   */
  constructor(allocAddress: number, bus: AddressBus = new AddressBus({ size: PORT_SPACE })) {
    this.bus = bus;
    this.pool = new RangePool(bus, [allocAddress, bus.size]);
  }

  /**
   * Finds or takes a range, without a handler yet.
   * @param align what the start of a free range is a multiple of, a power of two
   * @throws BusError `overlap`, `out-of-range`, `no-space`; RangeError for a type that is none, as the original's numbers
   */
  reserve(range: IoPortRange, type: IoPortType, align: number = 1): Reservation {
    if (type === "free") return this.pool.take(range.size, align);
    if (type !== "address") throw new RangeError(`port type ${type} is neither "free" nor "address"`);
    return this.pool.takeAt(range.start, range.end - range.start + 1);
  }

  /**
   * Adds a handler: its entry, or `null` where the range is taken, or none is free.
   * @throws RangeError for a type that is none
   */
  addHandler<Cookie>(range: IoPortRange, iface: IoPortInterface<Cookie>, type: IoPortType): IoPortEntry | null {
    let reservation: Reservation | null = null;
    try {
      reservation = this.reserve(range, type, powerOfTwo(range.size));
      const { address, size } = reservation;
      const mapping = this.bus.map(address, new HandlerBlock(iface, address, size, this.#fail));
      const found = { start: address, end: address + size - 1, size };
      return { range: found, description: iface.description, remove: giveBack(mapping, reservation) };
    } catch (cause) {
      reservation?.release();
      if (cause instanceof BusError) return null;
      throw cause;
    }
  }

  /**
   * Emulates one access of a guest's. Values are cut to its size. A handler, or a card on the bus, that throws makes it
   * an error; the bus counts and reports what was thrown.
   * @param value what an OUT writes
   */
  emulate(port: number, isIn: boolean, size: number, value: number = 0): IoPortResult {
    if (size !== 1 && size !== 2 && size !== 4) return { outcome: "error", value: 0xffff_ffff };
    const { bus } = this;
    const handled = bus.blockAt(port) !== null;
    const errors = bus.errors;
    const failures = this.#failures;
    const read = isIn ? bus.read(port, size) : 0;
    if (!isIn) bus.write(port, size, value);
    const failed = bus.errors !== errors || this.#failures !== failures;
    return { outcome: failed ? "error" : handled ? "handled" : "unhandled", value: read };
  }

  readonly #fail = (): void => {
    this.#failures++;
  };
}

/** A handler as the bus sees it. */
class HandlerBlock<Cookie> implements RegisterBlock {
  readonly size: number;
  readonly #iface: IoPortInterface<Cookie>;
  readonly #start: number;
  readonly #fail: () => void;

  constructor(iface: IoPortInterface<Cookie>, start: number, size: number, fail: () => void) {
    this.#iface = iface;
    this.#start = start;
    this.size = size;
    this.#fail = fail;
  }

  read(offset: number, width: AccessWidth): number {
    const value = this.#iface.portIn(this.#iface.cookie, this.#start + offset, width);
    if (value !== null) return value;
    this.#fail();
    return lowBytes(0xffff_ffff, width);
  }

  write(offset: number, width: AccessWidth, value: number): void {
    if (!this.#iface.portOut(this.#iface.cookie, this.#start + offset, width, value)) this.#fail();
  }
}

function giveBack(mapping: BusMapping, reservation: Reservation): () => void {
  return () => {
    mapping.unmap();
    reservation.release();
  };
}

/** The power of two at or above `size`: a base address register's range is aligned to its size. */
function powerOfTwo(size: number): number {
  return 2 ** Math.ceil(Math.log2(size));
}
