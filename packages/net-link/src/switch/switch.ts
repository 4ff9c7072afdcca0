/**
 * A learning Ethernet switch in memory (IEEE 802.1Q, 8.6 to 8.8, without VLANs and spanning tree): joins any number of
 * NICs and networks. Frames are passed on as views, with their offloads.
 * @module
 */

import type { FrameBurst } from "../frame/burst.ts";
import { ETHERNET_HEADER, FrameAddresses, isGroupAddress, isReservedAddress } from "../frame/ethernet.ts";
import type { FrameQueueOptions } from "../frame/queue.ts";
import { AddressTable, type AddressTableOptions } from "./address-table.ts";
import { SwitchPort } from "./port.ts";

/** Options of a {@link Switch}. */
export interface SwitchOptions extends AddressTableOptions {
  /**
   * Options of the queue in front of each port: its bounds, and the callback for errors that the port's peer throws.
   */
  queue?: Omit<FrameQueueOptions, "onPostponed">;
  /**
   * Called when more frames arrive in a turn of the event loop than it may hand over, with the port whose frames
   * continue in a later turn; about once a turn while that lasts. The usual cause is a loop of links, in which every
   * broadcast circulates forever: take one of them down.
   */
  onStorm?: (port: SwitchPort) => void;
}

/** Counters of a {@link Switch}. */
export interface SwitchCounters {
  /** Frames sent to the one port on which their destination was learned. */
  forwarded: number;
  /** Frames sent to every other port: broadcast, multicast, destination unknown. */
  flooded: number;
  /** Frames not sent anywhere, because their destination is on the port they came from. */
  filtered: number;
  /**
   * Times that a port's frames had to continue in a later turn of the event loop. It keeps growing while links form a
   * loop.
   */
  postponed: number;
  /** Dropped: shorter than an Ethernet header. */
  droppedShort: number;
  /** Dropped: sent to an address that bridges don't forward, such as pause frames and spanning tree. */
  droppedReserved: number;
}

/**
 * A switch. A full port does not hold up the others: it has a bounded queue, and drops frames that don't fit. Like any
 * switch it trusts source addresses: a guest can claim its neighbour's.
 */
export class Switch {
  /** Counters of the frames. Each port has counters of its own. */
  readonly counters: SwitchCounters = {
    forwarded: 0,
    flooded: 0,
    filtered: 0,
    postponed: 0,
    droppedShort: 0,
    droppedReserved: 0,
  };
  /** Which address is on which port. */
  readonly addresses: AddressTable<SwitchPort>;
  readonly #queue: Omit<FrameQueueOptions, "onPostponed">;
  readonly #onStorm: (port: SwitchPort) => void;
  readonly #ports: SwitchPort[] = [];
  /** Ports with added frames: `#dueFirst .. #dueEnd - 1` have not delivered theirs yet. */
  readonly #due: (SwitchPort | undefined)[] = [];
  #dueFirst = 0;
  #dueEnd = 0;
  readonly #frame = new FrameAddresses();

  /** Makes a switch without ports. */
  constructor(options: SwitchOptions = {}) {
    this.#queue = options.queue ?? {};
    this.#onStorm = options.onStorm ?? (() => {});
    this.addresses = new AddressTable(options);
  }

  /** The ports, in the order they were added. */
  get ports(): readonly SwitchPort[] {
    return this.#ports;
  }

  /** Adds a port. Join it to a NIC or a network with {@link connect}. */
  addPort(): SwitchPort {
    const port = new SwitchPort(
      {
        forward: (from, burst, first) => this.#forward(from, burst, first),
        forget: (gone) => this.addresses.forget(gone),
        postponed: (waiting) => {
          this.counters.postponed++;
          this.#onStorm(waiting);
        },
      },
      this.#queue,
    );
    this.#ports.push(port);
    return port;
  }

  /** Removes a port and forgets its addresses. Frames it takes afterwards are dropped. Disconnect its link first. */
  removePort(port: SwitchPort): void {
    const i = this.#ports.indexOf(port);
    if (i < 0) return;
    this.#ports.splice(i, 1);
    port.close();
  }

  #forward(from: SwitchPort, burst: FrameBurst, first: number): void {
    const now = this.addresses.tick();
    const frame = this.#frame;
    for (let i = first; i < burst.count; i++) {
      if (burst.lengths[i] < ETHERNET_HEADER) {
        this.counters.droppedShort++;
        continue;
      }
      frame.read(burst, i);
      if (frame.source !== 0 && !isGroupAddress(frame.source)) this.addresses.learn(frame.source, from, now);
      if (isReservedAddress(frame.destination)) {
        this.counters.droppedReserved++;
        continue;
      }
      const to = isGroupAddress(frame.destination) ? undefined : this.addresses.find(frame.destination, now);
      if (to === undefined) {
        this.counters.flooded++;
        for (const port of this.#ports) if (port !== from) this.#add(port, burst, i);
      } else if (to === from) {
        this.counters.filtered++;
      } else {
        this.counters.forwarded++;
        this.#add(to, burst, i);
      }
    }
    this.#deliver();
  }

  #add(port: SwitchPort, burst: FrameBurst, i: number): void {
    if (port.add(burst, i)) this.#due[this.#dueEnd++] = port;
  }

  /**
   * Makes every due port deliver its frames. Frames are lent: when a peer sends from within its `take`, that nested
   * call delivers all of them before it returns, including those added by the calls around it.
   */
  #deliver(): void {
    const due = this.#due;
    while (this.#dueFirst < this.#dueEnd) {
      const port = due[this.#dueFirst];
      due[this.#dueFirst++] = undefined;
      port?.deliver();
    }
    this.#dueFirst = 0;
    this.#dueEnd = 0;
  }
}
