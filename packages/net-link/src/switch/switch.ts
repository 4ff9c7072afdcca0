/**
 * A learning Ethernet switch in memory (IEEE 802.1Q, 8.6 to 8.8, without VLANs and spanning tree): joins any
 * number of NICs and networks. Frames are passed on as views, offloads and all.
 * @module
 */

import type { FrameBurst } from "../frame/burst.ts";
import { ETHERNET_HEADER, FrameAddresses, isGroupAddress, isReservedAddress } from "../frame/ethernet.ts";
import type { FrameQueueOptions } from "../frame/queue.ts";
import { AddressTable, type AddressTableOptions } from "./address-table.ts";
import { SwitchPort } from "./port.ts";

/** How a {@link Switch} is made. */
export interface SwitchOptions extends AddressTableOptions {
  /** Bounds of the queue in front of each port, and who is told of what somebody connected to one throws. */
  queue?: Omit<FrameQueueOptions, "onPostponed">;
  /**
   * Told that more frames came in a turn of the event loop than may be handed over in one, with the port whose frames
   * go on in the next; about once a turn while that lasts. Most often links form a loop, in which every broadcast goes
   * round for ever: take one of them down.
   */
  onStorm?: (port: SwitchPort) => void;
}

/** What a {@link Switch} did with the frames its ports took. */
export interface SwitchCounters {
  /** Frames that went to the one port their destination was learned on. */
  forwarded: number;
  /** Frames that went to every other port: broadcast, multicast, destination unknown. */
  flooded: number;
  /** Frames whose destination is on the port they came from: the switch has nothing to do with them. */
  filtered: number;
  /**
   * Times that a port's frames had to go on in a later turn of the event loop. It grows all the time while links form a
   * loop.
   */
  postponed: number;
  /** Dropped: shorter than an Ethernet header. */
  droppedShort: number;
  /** Dropped: for an address that bridges don't forward, such as pause frames and spanning tree. */
  droppedReserved: number;
}

/**
 * A switch. A port that is full does not hold up the others: it has a bounded queue, and drops what doesn't
 * fit. Like any switch it believes source addresses: a guest may claim its neighbour's.
 */
export class Switch {
  /** What became of the frames. Each port has counters of its own. */
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
  /** Ports that frames were added to: `#dueFirst .. #dueEnd - 1` have yet to give them to their peers. */
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

  /** The ports there are. */
  get ports(): readonly SwitchPort[] {
    return this.#ports;
  }

  /** Adds a port, to be joined to a NIC or a network by {@link connect}. */
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

  /** Removes a port and forgets its addresses. Frames it still takes are dropped. Disconnect its link first. */
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
   * Lets every port that is due give its frames. They are lent: a peer that sends from within its `take` does not get
   * back before all of them are given, those of the calls around its own included.
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
