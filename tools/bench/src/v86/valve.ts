/**
 * What a NIC under test is joined to: a network, or, for floods, a sink that counts and a source that never ends.
 *
 * @module
 */
import { FrameBurst, type NetBackend, type NetPort } from "@virtio-ts/net-link";

const BURST = 64;

/** Passes frames to a backend until it is told to swallow them. */
export class Valve implements NetBackend {
  /** Frames swallowed. */
  swallowed = 0;
  /** Whether frames are swallowed instead of passed on. */
  sink = false;
  readonly #inner: NetBackend;
  #peer: NetPort | null = null;
  #flood: Flood | null = null;

  constructor(inner: NetBackend) {
    this.#inner = inner;
  }

  get accepts(): number {
    return this.#inner.accepts;
  }

  attach(peer: NetPort): void {
    this.#peer = peer;
    this.#inner.attach(peer);
  }

  detach(): void {
    this.#peer = null;
    this.#inner.detach();
  }

  take(burst: FrameBurst, first: number): number {
    if (!this.sink) return this.#inner.take(burst, first);
    this.swallowed += burst.count - first;
    return burst.count;
  }

  resume(): void {
    if (this.#flood === null) this.#inner.resume();
    else this.#flood.pump();
  }

  /**
   * Sends `count` copies of a frame as fast as the NIC takes them.
   *
   * @returns seconds from the first to the last taken
   */
  async flood(frame: Uint8Array, count: number): Promise<number> {
    const peer = this.#peer;
    if (peer === null) throw new Error("no NIC is connected");
    const flood = new Flood(peer, frame, count);
    this.#flood = flood;
    try {
      return await flood.run();
    } finally {
      this.#flood = null;
    }
  }
}

/** One flood under way. */
class Flood {
  readonly #peer: NetPort;
  readonly #burst = new FrameBurst(BURST, BURST);
  #left: number;
  #begin = 0;
  #done: (seconds: number) => void = () => {};

  constructor(peer: NetPort, frame: Uint8Array, count: number) {
    this.#peer = peer;
    this.#left = count;
    for (let i = 0; i < BURST; i++) this.#burst.addFrame(frame);
  }

  run(): Promise<number> {
    this.#begin = performance.now();
    return new Promise((resolve) => {
      this.#done = resolve;
      this.pump();
    });
  }

  /** Gives until the NIC is full; it calls `resume` then, which leads here. */
  pump(): void {
    while (this.#left > 0) {
      const first = Math.max(0, BURST - this.#left);
      const taken = this.#peer.take(this.#burst, first) - first;
      this.#left -= taken;
      if (first + taken < BURST) return;
    }
    this.#done((performance.now() - this.#begin) / 1000);
    this.#done = () => {};
  }
}
