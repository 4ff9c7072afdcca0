/** Frames that can be told apart and checked: each says its number, and its bytes follow from it. */
import { FrameBurst, type NetPort } from "@virtio-ts/net-link";

/** An Ethernet type for local experiments (IEEE 802). */
const ETHERTYPE = 0x88b5;
const HEADER = 18;

/** Lengths that frame `n` takes in turn: the shortest, the longest, and some between. */
const LENGTHS = [60, 1514, 61, 590, 64, 1000];

/** Frame `n` from one address to another. */
export function numbered(n: number, to: Uint8Array, from: Uint8Array): Uint8Array {
  const frame = new Uint8Array(LENGTHS[n % LENGTHS.length]);
  frame.set(to, 0);
  frame.set(from, 6);
  const view = new DataView(frame.buffer);
  view.setUint16(12, ETHERTYPE);
  view.setUint32(14, n);
  for (let i = HEADER; i < frame.length; i++) frame[i] = (n * 31 + i * 7) & 255;
  return frame;
}

/** A network that checks each frame it gets against the one that is due, and sends as fast as it is let. */
export class NumberedPort implements NetPort {
  readonly accepts: number = 0;
  /** Frames that came, each as it should. */
  received = 0;
  /** What was wrong with the first one that was not. */
  problem: string | null = null;
  readonly #far: NetPort;
  readonly #mine: Uint8Array;
  readonly #theirs: Uint8Array;
  readonly #one = new FrameBurst();
  #sent = 0;
  #wanted = 0;

  /** @param far where frames are sent to */
  constructor(far: NetPort, mine: Uint8Array, theirs: Uint8Array) {
    this.#far = far;
    this.#mine = mine;
    this.#theirs = theirs;
  }

  /** Sends frames until `count` were sent. */
  send(count: number): void {
    this.#wanted = count;
    this.resume();
  }

  take(burst: FrameBurst, first: number): number {
    for (let i = first; i < burst.count; i++) {
      const frame = new Uint8Array(burst.lengths[i]);
      burst.copyFrame(i, 0, frame, 0, frame.length);
      if (frame[12] !== ETHERTYPE >> 8 || frame[13] !== (ETHERTYPE & 255)) continue; // QEMU announces itself
      const due = numbered(this.received, this.#mine, this.#theirs);
      if (Buffer.compare(frame, due) !== 0)
        this.problem ??= `frame ${this.received}: ${Buffer.from(frame).toString("hex")}`;
      else this.received++;
    }
    return burst.count;
  }

  resume(): void {
    while (this.#sent < this.#wanted) {
      this.#one.clear();
      this.#one.addFrame(numbered(this.#sent, this.#theirs, this.#mine));
      if (this.#far.take(this.#one, 0) === 0) return;
      this.#sent++;
    }
  }
}
