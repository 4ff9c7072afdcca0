/**
 * Reassembles fragmented IPv4 packets (RFC 791, 3.2; RFC 815), within bounds: a limited number of packets, each of at
 * most 64 KiB, with no contradicting fragments, none older than half a minute. An exact duplicate of a fragment is
 * ignored.
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
/** Fragment offsets are multiples of this many bytes. */
const UNIT = 8;

interface Partial {
  /** The reassembled frame. */
  readonly frame: Uint8Array;
  /** Which units of the payload have arrived. */
  readonly units: Uint8Array;
  /** Bytes of payload that have arrived. */
  received: number;
  /** End of the highest fragment so far. */
  end: number;
  /** Total bytes of payload, known once the last fragment has arrived; 0 before. */
  total: number;
}

/** Packets of which fragments have arrived. */
export class Reassembly {
  readonly #stack: Stack;
  readonly #partials: BoundedTable<string, Partial>;
  readonly #burst = new FrameBurst(1, 1);

  constructor(stack: Stack) {
    this.#stack = stack;
    this.#partials = new BoundedTable<string, Partial>(stack, {
      name: "fragments",
      limit: stack.config.limits.fragmentedPackets,
      ranks: [{ idleMs: LIFETIME_MS }], // since the first fragment: later ones do not count as a use
      ended: (_partial, _key, why) => {
        if (why !== "cleared") this.#count();
      },
    });
  }

  /**
   * Takes a fragment.
   * @returns a burst of one frame, the whole packet, if this fragment completes it; valid until the next call
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
      return this.#drop(key); // no honest sender overlaps fragments (RFC 5722)
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

  /** Drops all fragments. */
  clear(): void {
    this.#partials.clear();
    this.#burst.release();
  }

  #begin(key: string, packet: Packet): Partial {
    const frame = new Uint8Array(HEADERS + MAX_PAYLOAD);
    frame.set(packet.head.subarray(0, HEADERS)); // without the options: they concern the path, which ends here
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

/** Whether a fragment agrees with earlier ones on the packet's length. */
function fits(partial: Partial, end: number, last: boolean): boolean {
  if (last) return end >= partial.end && (partial.total === 0 || partial.total === end);
  return partial.total === 0 || end < partial.total;
}

/** Whether a packet's payload equals the bytes at `at` of the frame. */
function isSame(packet: Packet, frame: Uint8Array, at: number, length: number): boolean {
  const bytes = new Uint8Array(length);
  packet.copy(packet.payload, bytes, 0, length);
  for (let i = 0; i < length; i++) if (bytes[i] !== frame[at + i]) return false;
  return true;
}
