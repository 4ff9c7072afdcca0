/**
 * The guest's end of a TCP connection, as plain as the RFC allows: correct, slow, with no options but MSS and scale.
 */
import { ACK, FIN, PSH, RST, type Segment, SYN, type TestGuest } from "../support/test-guest.ts";
import { GUEST, tcpFrame, WORLD } from "../support/wire-test.ts";

const diff = (a: number, b: number): number => (a - b) | 0;
const add = (a: number, b: number): number => (a + b) >>> 0;

export interface ModelOptions {
  port?: number;
  remote?: number;
  remotePort?: number;
  initialSequence?: number;
  /** Bytes it holds unread at most. */
  capacity?: number;
  scale?: number;
  mss?: number;
}

export class TcpModel {
  readonly guest: TestGuest;
  readonly port: number;
  readonly remote: number;
  readonly remotePort: number;
  readonly capacity: number;
  readonly scale: number;
  readonly mss: number;
  /** Whether the network's SYN had a window scale: both scale, or none. */
  remoteScale = -1;
  state: "closed" | "syn-sent" | "open" | "reset" = "closed";
  // Sending.
  una: number;
  next: number;
  max: number;
  window = 0;
  outgoing: number[] = [];
  finWanted = false;
  finAcked = false;
  // Receiving.
  expected = 0;
  received: number[] = [];
  unread = 0;
  remoteEnded = false;
  edge = 0;
  ackDue = false;
  duplicates = 0;

  constructor(guest: TestGuest, options: ModelOptions = {}) {
    this.guest = guest;
    this.port = options.port ?? 50_000;
    this.remote = options.remote ?? WORLD;
    this.remotePort = options.remotePort ?? 80;
    this.capacity = options.capacity ?? 65_535;
    this.scale = options.scale ?? 4;
    this.mss = options.mss ?? 1460;
    this.una = (options.initialSequence ?? 1000) >>> 0;
    this.next = this.una;
    this.max = this.una;
  }

  connect(): void {
    this.state = "syn-sent";
    this.next = add(this.una, 1);
    this.max = this.next;
    this.#sendSyn();
  }

  write(bytes: Iterable<number>): void {
    for (const byte of bytes) this.outgoing.push(byte);
  }

  end(): void {
    this.finWanted = true;
  }

  reset(): void {
    this.#send(RST | ACK, this.next, []);
    this.state = "reset";
  }

  /** The program reads: room in the window. */
  read(n: number): void {
    const was = this.#free();
    this.unread = Math.max(0, this.unread - n);
    if (!this.remoteEnded && was < this.mss && this.#free() > was) this.ackDue = true; // a sender that is done needs no room
  }

  /** Takes all frames of this connection the guest has got. */
  process(segments: Segment[]): void {
    for (const segment of segments) this.#segment(segment);
  }

  /** Sends what the window allows, in segments of `size` at most, `count` of them at most. */
  output(size: number, count: number): void {
    if (this.state !== "open") return;
    for (let i = 0; i < count; i++) {
      const offset = diff(this.next, this.una);
      const left = this.outgoing.length - offset;
      const usable = this.window - offset;
      const n = Math.min(left, usable, size);
      const fin = this.finWanted && !this.finAcked && left >= 0 && n === left;
      if (n < 0 || (n === 0 && !fin)) break;
      this.#send(ACK | (n > 0 ? PSH : 0) | (fin ? FIN : 0), this.next, this.outgoing.slice(offset, offset + n));
      this.next = add(this.next, n + (fin ? 1 : 0));
      if (diff(this.next, this.max) > 0) this.max = this.next;
      if (fin) break;
    }
    if (this.ackDue) this.#send(ACK, this.next, []);
  }

  /** Time passes: retransmits unacknowledged data, probes a closed window. */
  timeout(): void {
    if (this.state === "syn-sent") this.#sendSyn();
    if (this.state !== "open") return;
    if (this.next !== this.una) this.next = this.una;
    else if (this.outgoing.length > 0 && this.window === 0) this.#send(ACK, add(this.una, -1), []);
    this.output(1460, 1);
    if (this.next === this.una && this.outgoing.length > 0) this.#send(ACK, add(this.una, -1), []);
  }

  get done(): boolean {
    return this.remoteEnded && this.finWanted && this.finAcked;
  }

  #segment(segment: Segment): void {
    if (this.state === "closed" || this.state === "reset") return;
    if (this.state === "syn-sent") {
      if ((segment.flags & RST) !== 0) {
        if (segment.acknowledged === this.next) this.state = "reset";
        return;
      }
      if ((segment.flags & (SYN | ACK)) !== (SYN | ACK) || segment.acknowledged !== this.next) return;
      this.expected = add(segment.sequence, 1);
      this.edge = this.expected;
      this.una = segment.acknowledged;
      this.window = segment.window;
      for (let at = 0; at < segment.options.length; ) {
        const kind = segment.options[at];
        if (kind === 3) this.remoteScale = segment.options[at + 2];
        at += kind <= 1 ? 1 : segment.options[at + 1];
      }
      this.state = "open";
      this.ackDue = true;
      return;
    }
    if ((segment.flags & SYN) !== 0) {
      this.ackDue = true;
      return;
    }
    const offset = diff(segment.sequence, this.expected);
    if ((segment.flags & RST) !== 0) {
      if (offset === 0) this.state = "reset";
      return;
    }
    const acked = diff(segment.acknowledged, this.una);
    if (acked > diff(this.max, this.una)) throw new Error("acknowledges what was never sent");
    if (acked > 0) {
      if (acked > this.outgoing.length) this.finAcked = true;
      this.outgoing.splice(0, Math.min(acked, this.outgoing.length));
      this.una = segment.acknowledged;
      if (diff(this.next, this.una) < 0) this.next = this.una;
    }
    if (acked >= 0) this.window = this.remoteScale >= 0 ? segment.window << this.remoteScale : segment.window;
    const length = segment.data.length + (segment.flags & FIN);
    if (length === 0) {
      if (offset !== 0) this.ackDue = true;
      return;
    }
    this.ackDue = true;
    if (offset > 0 || offset + length <= 0 || this.remoteEnded) {
      this.duplicates++;
      return;
    }
    const end = segment.data.length + offset;
    if (end > Math.max(0, diff(this.edge, this.expected)))
      throw new Error(`sent beyond the window: ${end} bytes, room for ${diff(this.edge, this.expected)}`);
    for (let i = -offset; i < segment.data.length; i++) this.received.push(segment.data[i]);
    this.unread += Math.max(0, end);
    this.expected = add(this.expected, Math.max(0, end));
    if ((segment.flags & FIN) !== 0) {
      this.remoteEnded = true;
      this.expected = add(this.expected, 1);
    }
  }

  #free(): number {
    return Math.max(0, this.capacity - this.unread);
  }

  #sendSyn(): void {
    const options =
      this.scale >= 0
        ? Uint8Array.of(2, 4, this.mss >> 8, this.mss & 255, 1, 3, 3, this.scale)
        : Uint8Array.of(2, 4, this.mss >> 8, this.mss & 255);
    this.guest.send(
      tcpFrame({
        fromPort: this.port,
        toPort: this.remotePort,
        destination: this.remote,
        sequence: add(this.next, -1),
        flags: SYN,
        options,
      }),
    );
  }

  #send(flags: number, sequence: number, data: number[]): void {
    this.ackDue = false;
    const scaled = this.scale >= 0 && this.remoteScale >= 0 ? this.scale : 0;
    const said = Math.min(0xffff, this.#free() >> scaled);
    const edge = add(this.expected, said << scaled);
    if (diff(edge, this.edge) > 0) this.edge = edge;
    const large = data.length > this.mss;
    const frame = tcpFrame({
      source: GUEST,
      destination: this.remote,
      fromPort: this.port,
      toPort: this.remotePort,
      sequence,
      acknowledged: this.expected,
      flags,
      window: said,
      data: Uint8Array.from(data),
      partial: large,
    });
    this.guest.send(frame, large ? 1 : 0, large ? 1 : 0, large ? this.mss : 0);
  }
}
