/**
 * Puts fragments of IPv4 packets together again (RFC 791, 3.2; RFC 815), with bounds: so many packets at a time,
 * each of 64 KiB at most, none with fragments that contradict each other, none older than half a minute. A fragment
 * that came twice, unchanged, is none the worse.
 * @module
 */

import { checksumAdd, checksumFold, FrameBurst } from "@virtio-ts/net-link";
import { BoundedTable } from "../bounded-table.ts";
import type { Packet } from "../link/packet.ts";
import type { Stack } from "../stack.ts";
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
} from "../wire.ts";

const LIFETIME_MS = 30_000;
const MAX_PAYLOAD = 0xffff - IP_HEADER;
const HEADERS = ETH_HEADER + IP_HEADER;
/** Fragments start at multiples of so many bytes. */
const UNIT = 8;

interface Partial {
  /** The frame it becomes. */
  readonly frame: Uint8Array;
  /** Which units of the payload have come. */
  readonly units: Uint8Array;
  /** Bytes of payload that have come. */
  received: number;
  /** Where the last of them ends. */
  end: number;
  /** Bytes of payload in all, once the last fragment has come. */
  total: number;
}

/** Packets of which fragments have come. */
export class Reassembly {
  readonly #stack: Stack;
  readonly #partials: BoundedTable<string, Partial>;
  readonly #burst = new FrameBurst(1, 1);

  constructor(stack: Stack) {
    this.#stack = stack;
    this.#partials = new BoundedTable<string, Partial>(stack, {
      name: "fragments",
      limit: stack.config.limits.fragmentedPackets,
      ranks: [{ idleMs: LIFETIME_MS }], // since its first fragment: the later ones are no use of it
      ended: (_partial, _key, why) => {
        if (why !== "cleared") this.#count();
      },
    });
  }

  /**
   * Takes a fragment.
   * @returns a burst of one frame, the whole packet, when this was the fragment that was missing; it is good
   * until the next call
   */
  add(packet: Packet): FrameBurst | undefined {
    const { view, head } = packet;
    const word = view.getUint16(ETH_HEADER + IP_FRAGMENT);
    const offset = (word & IP_OFFSET_MASK) * UNIT;
    const last = (word & IP_MORE_FRAGMENTS) === 0;
    const length = packet.payloadLength;
    const end = offset + length;
    const key = `${packet.source}>${packet.destination}/${head[ETH_HEADER + IP_PROTOCOL]}#${view.getUint16(ETH_HEADER + IP_ID)}`;
    if (length === 0 || end > MAX_PAYLOAD || (!last && length % UNIT !== 0)) return this.#drop(key);
    const partial = this.#partials.get(key) ?? this.#begin(key, packet);
    if (!fits(partial, end, last)) return this.#drop(key);

    const from = offset / UNIT;
    const to = Math.ceil(end / UNIT);
    let known = 0;
    for (let unit = from; unit < to; unit++) known += partial.units[unit];
    if (known > 0) {
      const isDuplicate = known === to - from && (!last || partial.total === end);
      if (isDuplicate && isSame(packet, partial.frame, HEADERS + offset, length)) return undefined;
      return this.#drop(key); // nobody honest sends overlapping fragments (RFC 5722)
    }
    partial.units.fill(1, from, to);
    packet.copy(packet.payload, partial.frame, HEADERS + offset, length);
    partial.received += length;
    partial.end = Math.max(partial.end, end);
    if (last) partial.total = end;
    if (partial.total === 0 || partial.received < partial.total) return undefined;
    this.#partials.delete(key);
    return this.#finish(partial);
  }

  /** Forgets all fragments. */
  clear(): void {
    this.#partials.clear();
    this.#burst.release();
  }

  #begin(key: string, packet: Packet): Partial {
    const frame = new Uint8Array(HEADERS + MAX_PAYLOAD);
    frame.set(packet.head.subarray(0, HEADERS)); // options are for the way, which ends here
    const partial: Partial = { frame, units: new Uint8Array(8192), received: 0, end: 0, total: 0 };
    this.#partials.set(key, partial);
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
}

/** Whether a fragment agrees with those that came about where the packet ends. */
function fits(partial: Partial, end: number, last: boolean): boolean {
  if (last) return end >= partial.end && (partial.total === 0 || partial.total === end);
  return partial.total === 0 || end < partial.total;
}

/** Whether a packet's payload is what lies there already. */
function isSame(packet: Packet, frame: Uint8Array, at: number, length: number): boolean {
  const bytes = new Uint8Array(length);
  packet.copy(packet.payload, bytes, 0, length);
  for (let i = 0; i < length; i++) if (bytes[i] !== frame[at + i]) return false;
  return true;
}
