/**
 * The transmit side of the NIC: chains of a transmit queue become frames of a burst, as views into guest
 * memory (VIRTIO 1.4, 5.1.6.2).
 *
 * Hot: nothing here allocates; `bench/net.ts` guards it.
 * @module
 */

import { FrameBurst, GSO_NONE, HDR_F_NEEDS_CSUM, type NetPort, offloadsNeeded } from "@virtio-ts/net-link";
import { type ActivationContext, type ActiveQueue, DeviceFault } from "@virtio-ts/virtio-device";
import { ChainBurst } from "@virtio-ts/virtio-queue";
import type { GuestMemory } from "@virtio-ts/vm-memory";
import {
  ETHERNET_HEADER,
  ETHERTYPE_AT,
  ETHERTYPES_SIZE,
  HDR_CSUM_OFFSET,
  HDR_CSUM_START,
  HDR_FLAGS,
  HDR_GSO_SIZE,
  HDR_GSO_TYPE,
  HDR_HDR_LEN,
  HDR_SIZE,
  IP_PACKET_MAX,
  vlanTagBytes,
} from "../layout/index.ts";
import type { NetCounters } from "./counters.ts";

/** Chains taken at a time. */
const BURST = 64;
/**
 * Kicks of a turn that are answered at once where they are gathered: more than a guest in an emulator makes by sending
 * requests and waiting for the answers, about eight a millisecond.
 */
const KICKS_AT_ONCE = 24;
/** Bursts a turn handles before it yields to the rest of the machine. */
const BURSTS_PER_TURN = 8;
/** What a frame has around its IP packet, whatever its type says: an Ethernet header, and room for a VLAN tag. */
const AROUND = ETHERNET_HEADER + 4;

/** Where frames go: looked up for each burst, since links come and go. */
export interface Outlet {
  /** The other end of the link, or `null` while there is none or the link is down. */
  readonly peer: NetPort | null;
  /** Tells the peer that frames are taken again. */
  resumePeer(): void;
}

/** What was negotiated of transmitting. */
export interface TransmitterConfig {
  /** Bytes of the header in front of each frame. */
  readonly headerSize: number;
  /** Offloads that the driver may ask for. */
  readonly offloads: number;
  /** Largest IP packet, bytes. */
  readonly mtu: number;
  /** Whether kicks of a turn are answered together: see {@link Transmitter.notified}. */
  readonly gathers: boolean;
}

/** One transmit queue at work. */
export class Transmitter {
  readonly #memory: GuestMemory;
  readonly #context: ActivationContext;
  readonly #active: ActiveQueue;
  readonly #outlet: Outlet;
  readonly #counters: NetCounters;
  readonly #offloads: number;
  readonly #headerSize: number;
  readonly #mtu: number;
  readonly #chains: ChainBurst;
  readonly #frames = new FrameBurst(BURST, BURST * 4);
  /** The chain each frame of the burst came from. */
  readonly #chainOf = new Uint32Array(BURST);
  readonly #header = new Uint8Array(HDR_SIZE);
  readonly #types = new Uint8Array(ETHERTYPES_SIZE);
  /** Stays so when the link has thrown: nothing more is sent before a reset. */
  #running = false;
  #stopped = false;
  #deferred = false;
  #blocked = false;
  readonly #gathers: boolean;
  /** Kicks answered at once in this turn: see {@link notified}. */
  #answered = 0;
  readonly #nextTurn = (): void => {
    this.#answered = 0;
    if (!this.#deferred) this.publish(); // else together with what was gathered
  };
  readonly #later = (): void => {
    this.#deferred = false;
    this.run();
    this.publish();
  };

  constructor(
    context: ActivationContext,
    active: ActiveQueue,
    outlet: Outlet,
    counters: NetCounters,
    config: TransmitterConfig,
  ) {
    this.#memory = context.memory;
    this.#context = context;
    this.#active = active;
    this.#outlet = outlet;
    this.#counters = counters;
    this.#headerSize = config.headerSize;
    this.#offloads = config.offloads;
    this.#mtu = config.mtu;
    this.#gathers = config.gathers;
    this.#chains = new ChainBurst(context.memory);
  }

  /**
   * The driver kicked the queue. Where kicks are gathered, the frames of a few in each turn are sent at once, for
   * somebody may wait for what comes back; more of them are a flood, which is better sent in one go: until then the
   * driver is asked not to kick. Nobody waits for the buffers: they are given back when the turn is over, all by one
   * interrupt.
   */
  notified(): void {
    this.#counters.tx.notifications++;
    if (this.#blocked || this.#deferred) return;
    if (!this.#gathers || this.#answered < KICKS_AT_ONCE) {
      if (this.#gathers && this.#answered++ === 0) this.#context.scheduler.defer(this.#nextTurn);
      this.run();
    } else if (!this.#running) {
      this.#deferred = true;
      this.#active.queue.disableNotifications();
      this.#context.scheduler.defer(this.#later);
    }
  }

  /** The link has room again. */
  resume(): void {
    this.#blocked = false;
    this.run();
  }

  /** The queue stops: another transmitter sends what is left in it, if it starts again. */
  stop(): void {
    this.publish();
    this.#stopped = true;
  }

  /** Sends what is available, up to a turn's worth. */
  run(): void {
    // Frames may be answered from within `take`, and an answer may kick: the loop below sees to it.
    if (this.#running || this.#deferred || this.#stopped || this.#context.resting) return;
    this.#running = true;
    try {
      this.#turn();
    } catch (cause) {
      this.#context.fail(new DeviceFault("device-error", "the link threw when it was given frames", { cause }));
      return;
    }
    this.#running = false;
  }

  #turn(): void {
    const queue = this.#active.queue;
    queue.disableNotifications();
    for (let bursts = 0; ; bursts++) {
      if (bursts === BURSTS_PER_TURN) {
        this.#deferred = true;
        this.#context.scheduler.defer(this.#later);
        return;
      }
      const count = queue.pop(this.#chains, BURST);
      if (count < 0) return;
      if (count === 0) {
        if (queue.enableNotifications()) continue;
        return;
      }
      this.#blocked = true; // unless the link says, perhaps from within `take`, that it has room again
      const { notifications } = this.#counters.rx;
      const done = this.#send();
      // An answer that came at once interrupts the driver anyway.
      if (this.#answered === 0 || notifications !== this.#counters.rx.notifications) this.publish();
      if (!done && this.#blocked) {
        this.#counters.tx.stalls++;
        return;
      }
      this.#blocked = false;
    }
  }

  /** Gives back the buffers that are used, and tells the driver if it wants to hear of it. */
  publish(): void {
    if (this.#active.queue.flush()) this.#active.notifier.notify();
  }

  /** Hands the chains' frames over. False when the link is full: what it left is available again. */
  #send(): boolean {
    const chains = this.#chains;
    const frames = this.#frames;
    const queue = this.#active.queue;
    frames.clear();
    for (let i = 0; i < chains.count; i++) if (this.#frameOf(i)) this.#chainOf[frames.count - 1] = i;
    const peer = this.#outlet.peer;
    let taken = frames.count;
    if (peer !== null) {
      if (taken > 0) taken = peer.take(frames, 0);
      this.#countSent(taken);
    } else {
      this.#counters.dropped.txNoLink += taken;
    }
    const end = taken === frames.count ? chains.count : this.#chainOf[taken];
    queue.pushAll(chains, 0, end);
    if (end === chains.count) return true;
    queue.rewind(chains, end);
    return false;
  }

  #countSent(taken: number): void {
    const tx = this.#counters.tx;
    const frames = this.#frames;
    tx.frames += taken;
    for (let i = 0; i < taken; i++) {
      tx.bytes += frames.lengths[i];
      if (frames.gsoType[i] !== GSO_NONE) tx.gso++;
    }
  }

  /** Adds chain `i` to the burst as a frame. False when it is none: then it is counted, and completes. */
  #frameOf(i: number): boolean {
    const chains = this.#chains;
    const length = chains.readableBytes[i] - this.#headerSize;
    if (length < ETHERNET_HEADER) {
      if (length < 0) this.#counters.dropped.txShortHeader++;
      else this.#counters.dropped.txShortFrame++;
      return false;
    }
    const first = chains.first[i];
    let header: Uint8Array = this.#header;
    let at = 0;
    if (chains.lengths[first] >= this.#headerSize) {
      header = this.#memory.regions[chains.regions[first]].u8;
      at = chains.offsets[first];
    } else {
      chains.copyOut(i, 0, header, 0, this.#headerSize);
    }
    // Each field is read once: the driver may change it under our hands.
    const flags = header[at + HDR_FLAGS] & HDR_F_NEEDS_CSUM; // 5.1.6.2.2: other flags are to be ignored
    const gsoType = header[at + HDR_GSO_TYPE];
    const packetMax = gsoType === GSO_NONE ? this.#mtu : IP_PACKET_MAX;
    if (length > packetMax + AROUND && length > packetMax + ETHERNET_HEADER + this.#tagBytes(i)) {
      this.#counters.dropped.txLongFrame++;
      return false;
    }
    if (flags === 0 && gsoType === GSO_NONE) {
      this.#addSegments(i);
      this.#frames.endFrame();
      return true;
    }
    const csumStart = le16(header, at + HDR_CSUM_START);
    const csumOffset = le16(header, at + HDR_CSUM_OFFSET);
    const gsoSize = le16(header, at + HDR_GSO_SIZE);
    const hdrLen = le16(header, at + HDR_HDR_LEN);
    if (!this.#headerHolds(length, flags, gsoType, gsoSize, csumStart + csumOffset)) {
      this.#counters.dropped.txBadHeader++;
      return false;
    }
    this.#addSegments(i);
    this.#frames.endFrame(flags, gsoType, hdrLen, gsoSize, csumStart, csumOffset);
    return true;
  }

  /** Bytes of the VLAN tags in chain `i`'s frame. */
  #tagBytes(i: number): number {
    this.#chains.copyOut(i, this.#headerSize + ETHERTYPE_AT, this.#types, 0, ETHERTYPES_SIZE);
    return vlanTagBytes(this.#types);
  }

  /** Whether the offload fields agree with the frame and with what was negotiated. */
  #headerHolds(length: number, flags: number, gsoType: number, gsoSize: number, checksumAt: number): boolean {
    // A type that is not known needs an offload that nobody negotiates.
    if ((offloadsNeeded(flags, gsoType) & ~this.#offloads) !== 0) return false;
    if (checksumAt + 2 > length) return false;
    return gsoType === GSO_NONE || (gsoSize !== 0 && flags !== 0);
  }

  /** The readable part of chain `i` behind the header, as segments of the frame being built. */
  #addSegments(i: number): void {
    const chains = this.#chains;
    const regions = this.#memory.regions;
    let skip = this.#headerSize;
    for (let s = chains.first[i]; s < chains.writable[i]; s++) {
      const length = chains.lengths[s];
      if (skip >= length) {
        skip -= length;
        continue;
      }
      this.#frames.addSegment(regions[chains.regions[s]].u8, chains.offsets[s] + skip, length - skip);
      skip = 0;
    }
  }
}

function le16(bytes: Uint8Array, offset: number): number {
  return bytes[offset] | (bytes[offset + 1] << 8);
}
