/**
 * The transmit side of the NIC: chains of a transmit queue become frames of a burst, as views into guest
 * memory (VIRTIO 1.4, 5.1.6.2).
 *
 * Hot: nothing here allocates; `pnpm bench net` guards it.
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
 * Kicks answered at once in each turn, if kicks are gathered: more than a guest in an emulator makes by sending
 * requests and waiting for the answers, about eight a millisecond.
 */
const KICKS_AT_ONCE = 24;
/** Bursts handled in a turn, before the rest of the machine runs. */
const BURSTS_PER_TURN = 8;
/** Bytes around a frame's IP packet, of any type: an Ethernet header, and room for a VLAN tag. */
const AROUND = ETHERNET_HEADER + 4;

/** The outlet for frames. Read for each burst, because links come and go. */
export interface Outlet {
  /** The other end of the link, or `null` while there is none or the link is down. */
  readonly peer: NetPort | null;
  /** Tells the peer that frames are taken again. */
  resumePeer(): void;
}

/** The negotiated configuration of transmitting. */
export interface TransmitterConfig {
  /** Bytes of the header in front of each frame. */
  readonly headerSize: number;
  /** Offloads that the driver may ask for. */
  readonly offloads: number;
  /** Largest IP packet, bytes. */
  readonly mtu: number;
  /** Whether the kicks of a turn are gathered: see {@link Transmitter.notified}. */
  readonly gathers: boolean;
}

/** One transmit queue in use. */
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
  /** The chain of each frame in the burst. */
  readonly #chainOf = new Uint32Array(BURST);
  readonly #header = new Uint8Array(HDR_SIZE);
  readonly #types = new Uint8Array(ETHERTYPES_SIZE);
  /** Stays true after the link has thrown: nothing is sent before a reset. */
  #running = false;
  #stopped = false;
  #deferred = false;
  #blocked = false;
  readonly #gathers: boolean;
  /** Kicks answered at once in this turn: see {@link notified}. */
  #answered = 0;
  readonly #nextTurn = (): void => {
    this.#answered = 0;
    if (!this.#deferred) this.publish(); // otherwise together with the gathered ones
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
   * The driver kicked the queue. If kicks are gathered, the frames of the first few in each turn are sent at once,
   * because their sender may wait for an answer. More kicks are a flood, which is cheaper to send in one go; the
   * driver's kicks are suppressed until then. No driver waits for the buffers: they are returned at the end of the
   * turn, with one interrupt.
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

  /** The queue stops. If it starts again, another transmitter sends the remaining frames. */
  stop(): void {
    this.publish();
    this.#stopped = true;
  }

  /** Sends the available frames, at most one turn's worth. */
  run(): void {
    // A frame may be answered from within `take`, and the answer may kick: the loop below then sees the new frames.
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
      this.#blocked = true; // unless the link has room again, perhaps already within `take`
      const { notifications } = this.#counters.rx;
      const done = this.#send();
      // If an answer came at once, the driver is interrupted anyway.
      if (this.#answered === 0 || notifications !== this.#counters.rx.notifications) this.publish();
      if (!done && this.#blocked) {
        this.#counters.tx.stalls++;
        return;
      }
      this.#blocked = false;
    }
  }

  /** Returns the used buffers, and notifies the driver unless it suppresses interrupts. */
  publish(): void {
    if (this.#active.queue.flush()) this.#active.notifier.notify();
  }

  /** Passes the chains' frames on. False if the link is full: the remaining chains become available again. */
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

  /** Adds chain `i` to the burst as a frame. False if it is malformed: it is counted, and completes. */
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
    // Each field is read once, because the driver may change it concurrently.
    const flags = header[at + HDR_FLAGS] & HDR_F_NEEDS_CSUM; // 5.1.6.2.2: other flags must be ignored
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

  /** Whether the offload fields agree with the frame and with the negotiated features. */
  #headerHolds(length: number, flags: number, gsoType: number, gsoSize: number, checksumAt: number): boolean {
    // An unknown type needs an offload that is never negotiated.
    if ((offloadsNeeded(flags, gsoType) & ~this.#offloads) !== 0) return false;
    if (checksumAt + 2 > length) return false;
    return gsoType === GSO_NONE || (gsoSize !== 0 && flags !== 0);
  }

  /** Adds the readable part of chain `i`, behind the header, as segments of the current frame. */
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
