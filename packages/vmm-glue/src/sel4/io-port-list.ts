/**
 * A VM's list of emulated I/O ports, as in the seL4 VMM support library: handlers for ranges of ports, and one call
 * that emulates an access. It is a view of an {@link AddressBus}, which holds the ports. For VMMs ported from that
 * library; VIRTIO 1.4, 4.1.4.10 defines the ports of a virtio device.
 * @module
 */

import { type AccessWidth, lowBytes, type RegisterBlock } from "@virtio-ts/vm-device";
import { AddressBus, type BusMapping, PORT_SPACE } from "../bus/address-bus.ts";
import { BusError } from "../bus/bus-error.ts";
import type { Reservation } from "../bus/ledger.ts";
import { RangePool } from "../bus/range-pool.ts";

/** A range of ports. With `"free"` only its size is used, with `"address"` only start and end. */
export interface IoPortRange {
  /** First port. */
  readonly start: number;
  /** Last port, inclusive. */
  readonly end: number;
  /** Number of ports. */
  readonly size: number;
}

/** Whether a range is searched (`IOPORT_FREE`) or given (`IOPORT_ADDR`). */
export type IoPortType = "free" | "address";

/** Emulates the ports of a range. */
export interface IoPortInterface<Cookie> {
  /** Passed to both functions. */
  readonly cookie: Cookie;
  /** The guest reads `size` bytes: the value, or `null` for an error. */
  portIn(cookie: Cookie, port: number, size: AccessWidth): number | null;
  /** The guest writes `size` bytes: returns whether it succeeded. */
  portOut(cookie: Cookie, port: number, size: AccessWidth, value: number): boolean;
  /** Its name, for people. */
  readonly description: string;
}

/** A handler in the list. */
export interface IoPortEntry {
  /** The ports it emulates. */
  readonly range: IoPortRange;
  /** Its name, for people. */
  readonly description: string;
  /** Removes it from the list. A second call does nothing. */
  remove(): void;
}

/** The result of {@link IoPortList.emulate}: `handled` 0, `unhandled` 1, `error` -1 in the original. */
export interface IoPortResult {
  /** Whether a handler took the access, and whether it succeeded. */
  readonly outcome: "handled" | "unhandled" | "error";
  /** The value read; all ones if no handler answered. */
  readonly value: number;
}

/** Handlers for ranges of ports, without overlaps. */
export class IoPortList {
  /** The bus of the ports: a PCI bus and devices may map theirs here too. */
  readonly bus: AddressBus;
  /** Ranges that were searched or given, mapped or not. */
  readonly pool: RangePool;
  /** Accesses that a handler failed. */
  #failures = 0;

  /**
   * @param allocAddress the search for free ranges starts here
   * @param bus the machine's ports, if it has a bus for them already
   */
  constructor(allocAddress: number, bus: AddressBus = new AddressBus({ size: PORT_SPACE })) {
    this.bus = bus;
    this.pool = new RangePool(bus, [allocAddress, bus.size]);
  }

  /**
   * Searches or takes a range, without a handler yet.
   * @param align a power of two; the start of a free range is a multiple of it
   * @throws BusError `overlap`, `out-of-range`, `no-space`; RangeError for an invalid type, such as the original's
   * numbers
   */
  reserve(range: IoPortRange, type: IoPortType, align: number = 1): Reservation {
    if (type === "free") return this.pool.take(range.size, align);
    if (type !== "address") throw new RangeError(`port type ${type} is neither "free" nor "address"`);
    return this.pool.takeAt(range.start, range.end - range.start + 1);
  }

  /**
   * Adds a handler: returns its entry, or `null` if the range is taken, or none is free.
   * @throws RangeError for an invalid type
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
   * Emulates one access of a guest. Values are cut to its size. If a handler, or a card on the bus, throws, the result
   * is an error; the bus counts and reports what was thrown.
   * @param value the value that an OUT writes
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

/** A handler as a block on the bus. */
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
