/**
 * Puts fragments of IPv4 packets together again (RFC 791, 3.2; RFC 815), with bounds: so many packets at a time,
 * each of 64 KiB at most, none with fragments that overlap, none older than half a minute.
 * @module
 */

import { checksumAdd, checksumFold } from "../checksum.ts";
import { FrameBurst } from "../frame-burst.ts";
import type { Packet } from "./packet.ts";
import type { Stack } from "./stack.ts";
import { Timer } from "./timers.ts";
import {
  ETH_HEADER,
  IP_CHECKSUM,
  IP_FRAGMENT,
  IP_HEADER,
  IP_ID,
  IP_MORE_FRAGMENTS,
  IP_OFFSET_MASK,
  IP_PROTOCOL,
  IP_TOTAL_LENGTH,
} from "./wire.ts";

const LIFETIME_MS = 30_000;
const MAX_PAYLOAD = 0xffff - IP_HEADER;
const HEADERS = ETH_HEADER + IP_HEADER;

interface Partial {
  /** The frame it becomes. */
  readonly frame: Uint8Array;
  /** Which 8-byte units of the payload have come. */
  readonly units: Uint8Array;
  /** Bytes of payload that have come. */
  received: number;
  /** Bytes of payload in all, once the last fragment has come. */
  total: number;
  readonly until: number;
}

/** Packets of which fragments have come. */
export class Reassembly {
  readonly #stack: Stack;
  readonly #partials = new Map<string, Partial>();
  readonly #timer: Timer = new Timer(() => this.#expire());
  readonly #burst = new FrameBurst(1, 1);

  constructor(stack: Stack) {
    this.#stack = stack;
  }

  /**
   * Takes a fragment.
   * @returns a burst of one frame, the whole packet, when this was the fragment that was missing; it is good
   * until the next call
   */
  add(packet: Packet): FrameBurst | undefined {
    const { view, head } = packet;
    const word = view.getUint16(ETH_HEADER + IP_FRAGMENT);
    const offset = (word & IP_OFFSET_MASK) * 8;
    const last = (word & IP_MORE_FRAGMENTS) === 0;
    const length = packet.payloadLength;
    const key = `${packet.source}>${packet.destination}/${head[ETH_HEADER + IP_PROTOCOL]}#${view.getUint16(ETH_HEADER + IP_ID)}`;
    if (length === 0 || offset + length > MAX_PAYLOAD || (!last && length % 8 !== 0)) return this.#drop(key);
    const partial = this.#partials.get(key) ?? this.#begin(key, packet);

    const firstUnit = offset / 8;
    const endUnit = Math.ceil((offset + length) / 8);
    for (let unit = firstUnit; unit < endUnit; unit++) {
      if (partial.units[unit] !== 0) return this.#drop(key); // nobody honest sends overlapping fragments (RFC 5722)
      partial.units[unit] = 1;
    }
    if (last ? partial.total !== 0 : partial.total !== 0 && offset + length > partial.total) return this.#drop(key);
    packet.copy(packet.payload, partial.frame, HEADERS + offset, length);
    partial.received += length;
    if (last) partial.total = offset + length;
    if (partial.total === 0 || partial.received < partial.total) return undefined;
    this.#partials.delete(key);
    if (partial.received > partial.total) return this.#count();
    return this.#finish(partial);
  }

  /** Forgets all fragments. */
  clear(): void {
    this.#partials.clear();
    this.#stack.timers.remove(this.#timer);
    this.#burst.release();
  }

  #begin(key: string, packet: Packet): Partial {
    if (this.#partials.size >= this.#stack.config.limits.fragmentedPackets) {
      for (const oldest of this.#partials.keys()) {
        this.#drop(oldest);
        break;
      }
    }
    const frame = new Uint8Array(HEADERS + MAX_PAYLOAD);
    frame.set(packet.head.subarray(0, HEADERS)); // options are for the way, which ends here
    const until = this.#stack.now + LIFETIME_MS;
    const partial: Partial = { frame, units: new Uint8Array(8192), received: 0, total: 0, until };
    this.#partials.set(key, partial);
    if (this.#timer.deadline === Number.POSITIVE_INFINITY) this.#stack.timers.set(this.#timer, until);
    return partial;
  }

  #finish(partial: Partial): FrameBurst {
    const { frame } = partial;
    const view = new DataView(frame.buffer);
    view.setUint8(ETH_HEADER, 0x45);
    view.setUint16(ETH_HEADER + IP_TOTAL_LENGTH, IP_HEADER + partial.total);
    view.setUint16(ETH_HEADER + IP_FRAGMENT, 0);
    view.setUint16(ETH_HEADER + IP_CHECKSUM, 0);
    view.setUint16(ETH_HEADER + IP_CHECKSUM, checksumFold(checksumAdd(0, frame, ETH_HEADER, IP_HEADER)));
    this.#burst.clear();
    this.#burst.addFrame(frame, 0, HEADERS + partial.total);
    return this.#burst;
  }

  #drop(key: string): undefined {
    this.#partials.delete(key);
    return this.#count();
  }

  #count(): undefined {
    this.#stack.counters.dropped.fragment++;
    return undefined;
  }

  #expire(): void {
    for (const [key, partial] of this.#partials) {
      if (partial.until > this.#stack.now) {
        this.#stack.timers.set(this.#timer, partial.until); // oldest first: the others are younger
        return;
      }
      this.#drop(key);
    }
  }
}
