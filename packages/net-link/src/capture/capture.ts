/**
 * Records the frames to and from a backend in a format that Wireshark reads.
 * @module
 */

import { FrameBurst } from "../frame/burst.ts";
import type { NetBackend, NetPort } from "../link/port.ts";
import { watch } from "../link/report.ts";
import { type CaptureSink, INBOUND, OUTBOUND, PcapngWriter } from "./pcapng.ts";

/** Options of a {@link Capture}. */
export interface CaptureOptions {
  /** Takes the bytes of the capture in pcapng format: a file, a download, an array. It may keep them. */
  sink: CaptureSink;
  /** Name of the interface, ASCII; `virtio-net` by default. */
  name?: string;
  /** Maximum bytes recorded per frame; 262 144 by default, which records every frame in full. */
  snapLength?: number;
  /** Bytes gathered before the sink is called; 65 536 by default. */
  chunkSize?: number;
  /** The clock, microseconds since 1970; `Date.now` by default, with steps of a millisecond. */
  now?: () => number;
}

/** Counters of a {@link Capture}. */
export interface CaptureCounters {
  /** Frames recorded, in both directions. */
  frames: number;
  /** Frames not recorded, because the sink had failed or the capture was closed. */
  missed: number;
}

/**
 * A backend around a backend. Frames pass through, and each is recorded once, after it was taken. The directions are
 * the NIC's: its own frames are outbound. Frames are recorded as they pass: those a NIC left to be segmented are large,
 * but checksums are filled in, as on the wire.
 *
 * Frames never wait for the sink. If the sink throws, or returns a promise that is rejected, the capture ends,
 * {@link error} holds the cause, and frames continue to pass.
 */
export class Capture implements NetBackend {
  /** Counters of the recorded frames. */
  readonly counters: CaptureCounters = { frames: 0, missed: 0 };
  /** @inheritDoc */
  readonly mtu?: number;
  /** @inheritDoc */
  readonly mac?: Uint8Array;
  /** The error that ended the capture, if one did. */
  error: unknown;
  readonly #inner: NetBackend;
  readonly #now: () => number;
  #writer: PcapngWriter | undefined;
  /** Answers that were sent from within the `take` of the frames they answer: recorded after those frames. */
  readonly #held: HeldFrames = new HeldFrames();
  #depth = 0;

  /** @param inner the backend whose frames are recorded */
  constructor(inner: NetBackend, options: CaptureOptions) {
    this.#inner = inner;
    if (inner.mtu !== undefined) this.mtu = inner.mtu;
    if (inner.mac !== undefined) this.mac = inner.mac;
    this.#now = options.now ?? (() => Date.now() * 1000);
    this.#writer = new PcapngWriter(
      (bytes) => watch(options.sink(bytes) as unknown, (cause) => this.#end(cause)),
      options.name ?? "virtio-net",
      options.snapLength ?? 0x4_0000,
      options.chunkSize ?? 0x1_0000,
    );
  }

  /** The offloads that the backend accepts. */
  get accepts(): number {
    return this.#inner.accepts;
  }

  /** @inheritDoc */
  take(burst: FrameBurst, first: number): number {
    return this.#pass(this.#inner, burst, first, OUTBOUND);
  }

  /** @inheritDoc */
  resume(): void {
    this.#inner.resume();
  }

  /** @inheritDoc */
  attach(peer: NetPort): void {
    const pass = (burst: FrameBurst, first: number): number => this.#pass(peer, burst, first, INBOUND);
    this.#inner.attach({
      get accepts(): number {
        return peer.accepts;
      },
      take: pass,
      resume: () => peer.resume(),
    });
  }

  /** @inheritDoc */
  detach(): void {
    this.#inner.detach();
  }

  /** @inheritDoc */
  linkChanged(up: boolean): void {
    this.#inner.linkChanged?.(up);
  }

  /** Hands the sink the frames recorded so far. */
  flush(): void {
    this.#guard((writer) => writer.flush());
  }

  /** Hands the sink the rest and ends the capture. Frames continue to pass. */
  close(): void {
    this.flush();
    this.#writer = undefined;
  }

  #pass(to: NetPort, burst: FrameBurst, first: number, direction: number): number {
    const time = this.#writer === undefined ? 0 : this.#now();
    let end = first;
    this.#depth++;
    try {
      end = to.take(burst, first);
      return end;
    } finally {
      // Also after a throw: the held frames would stay forever otherwise.
      this.#depth--;
      this.#note(burst, first, end, direction, time);
    }
  }

  #note(burst: FrameBurst, first: number, end: number, direction: number, time: number): void {
    if (this.#writer === undefined) {
      this.counters.missed += end - first;
    } else if (this.#depth > 0) {
      for (let i = first; i < end; i++) this.#held.add(burst, i, direction, time);
      return;
    } else {
      for (let i = first; i < end; i++) this.#record(burst, i, direction, time);
    }
    const held = this.#held;
    for (let i = 0; i < held.burst.count; i++) this.#record(held.burst, i, held.directions[i], held.times[i]);
    held.clear();
  }

  #record(burst: FrameBurst, i: number, direction: number, time: number): void {
    const done = this.#guard((writer) => writer.packet(burst, i, direction, time));
    this.counters[done ? "frames" : "missed"]++;
  }

  #guard(write: (writer: PcapngWriter) => void): boolean {
    if (this.#writer === undefined) return false;
    try {
      write(this.#writer);
      return true;
    } catch (error) {
      this.#end(error);
      return false;
    }
  }

  #end(error: unknown): void {
    this.error = error;
    this.#writer = undefined;
  }
}

/** Copies of frames, with their times and directions. */
class HeldFrames {
  readonly burst = new FrameBurst();
  readonly directions: number[] = [];
  readonly times: number[] = [];

  add(burst: FrameBurst, i: number, direction: number, time: number): void {
    const length = burst.lengths[i];
    const copy = new Uint8Array(length);
    burst.copyFrame(i, 0, copy, 0, length);
    this.directions[this.burst.count] = direction;
    this.times[this.burst.count] = time;
    this.burst.addSegment(copy, 0, length);
    this.burst.endFrame(
      burst.flags[i],
      burst.gsoType[i],
      burst.hdrLen[i],
      burst.gsoSize[i],
      burst.csumStart[i],
      burst.csumOffset[i],
    );
  }

  clear(): void {
    if (this.burst.count === 0) return;
    this.burst.release();
    this.directions.length = 0;
    this.times.length = 0;
  }
}
