/**
 * A guest, a host and a link as small as possible, so that a million stories of one connection can be told: all bytes
 * follow one pattern, so none are stored; checksums are left to offloads. The network's segments are audited.
 */
import { FrameBurst, type NetPort } from "@virtio-ts/net-link";
import { type HostSockets, type HostTcp, type HostTcpHandlers, UserNetwork } from "../../src/index.ts";
import { seeded, TestClock } from "../support/test-clock.ts";
import { ACK, FIN, RST, SYN } from "../support/test-guest.ts";
import { tcpFrame } from "../support/wire-test.ts";
import { type AuditedSegment, TcpAudit } from "./audit.ts";

const HEADERS = 54;
const upAt = (i: number): number => (i * 7 + (i >> 8) * 13 + 1) & 255;
const downAt = (i: number): number => (i * 11 + (i >> 8) * 5 + 2) & 255;

function fill(length: number, from: number, at: (i: number) => number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = at(from + i);
  return bytes;
}

/** What happens next; `n` says how much of it. */
export type Act =
  | "guest writes"
  | "guest sends"
  | "guest reads"
  | "guest ends"
  | "guest hears"
  | "guest repeats"
  | "guest probes"
  | "host gives"
  | "host takes"
  | "host ends"
  | "room"
  | "loss"
  | "time";

export const ACTS: readonly Act[] = [
  "guest writes",
  "guest sends",
  "guest reads",
  "guest ends",
  "guest hears",
  "guest repeats",
  "guest probes",
  "host gives",
  "host takes",
  "host ends",
  "room",
  "loss",
  "time",
];

export interface World {
  /** The guest's window: bytes it holds unread. */
  capacity: number;
  /** Of the guest; -1 for none. */
  scale: number;
  mss: number;
  /** Offloads: 1 for checksums, 3 for large segments too. */
  accepts: number;
  initialSequence: number;
  receiveLimit: number;
  sendLimit: number;
  seed: number;
}

export interface Step {
  act: Act;
  n: number;
}

const TIMES = [1, 10, 400, 1000, 3000, 30_000];

interface Arrived extends AuditedSegment {
  data: Uint8Array;
}

class Story implements NetPort, HostSockets {
  readonly accepts: number;
  readonly world: World;
  readonly clock = new TestClock();
  readonly network: UserNetwork;
  readonly audit: TcpAudit;
  /** Losses to come, of either direction. */
  losses = 0;
  room: number = Number.POSITIVE_INFINITY;
  lastHeard = 0;

  // The host.
  handlers!: HostTcpHandlers;
  readonly held: Uint8Array[] = [];
  got = 0;
  given = 0;
  hostEnded = false;
  hostTold = false;
  hostOver = false;
  paused = false;

  // The guest.
  readonly queue: Arrived[] = [];
  state: "opening" | "open" | "reset" = "opening";
  readonly scale: number;
  networkScale = 0;
  written = 0;
  wantsEnd = false;
  una = 0;
  next = 0;
  max = 0;
  window = 0;
  base = 0;
  networkBase = 0;
  expected = 0;
  unread = 0;
  heardEnd = false;
  ackDue = false;
  edge = 0;
  readonly burst = new FrameBurst(1, 1);
  last: Uint8Array | undefined;

  constructor(world: World) {
    this.world = world;
    this.accepts = world.accepts;
    this.scale = world.capacity < 100 ? Math.min(world.scale, 0) : world.scale; // a window of less than a unit is none
    this.base = (world.initialSequence + 1) | 0;
    this.network = new UserNetwork({
      host: this,
      clock: this.clock,
      random: seeded(world.seed),
      options: { limits: { tcpReceive: world.receiveLimit, tcpSend: world.sendLimit } },
    });
    let networkScale = 0;
    while (world.receiveLimit >>> networkScale > 0xffff) networkScale++;
    this.networkScale = world.scale < 0 ? 0 : networkScale;
    this.audit = new TcpAudit(() => this.clock.now(), Math.max(0, this.scale), this.networkScale);
    this.network.attach(this);
  }

  // --- HostSockets
  connectTcp(_address: string, _port: number, handlers: HostTcpHandlers): HostTcp {
    this.handlers = handlers;
    return {
      write: (bytes) => this.held.push(bytes),
      end: () => {
        if (this.hostTold) throw new Error("the host is ended twice");
        this.hostTold = true;
      },
      pause: () => {
        this.paused = true;
      },
      resume: () => {
        this.paused = false;
      },
      destroy: () => {
        if (!this.audit.mayReset) throw new Error("the host's socket is destroyed");
        this.hostOver = true;
      },
    };
  }
  listenTcp(): Promise<never> {
    return Promise.reject(new Error("not played"));
  }
  openUdp(): never {
    throw new Error("not played");
  }
  listenUdp(): Promise<never> {
    return Promise.reject(new Error("not played"));
  }
  resolve(): Promise<never> {
    return Promise.reject(new Error("not played"));
  }
  dnsServers(): readonly never[] {
    return [];
  }

  // --- NetPort
  resume(): void {}
  take(burst: FrameBurst, first: number): number {
    for (let i = first; i < burst.count; i++) {
      if (this.room <= 0) return i;
      this.room--;
      const bytes = new Uint8Array(burst.lengths[i]);
      burst.copyFrame(i, 0, bytes, 0, bytes.length);
      const view = new DataView(bytes.buffer);
      const header = (bytes[46] >> 4) * 4;
      const segment = {
        sequence: view.getInt32(38),
        acknowledged: view.getInt32(42),
        flags: bytes[47] & 23,
        window: view.getUint16(48),
        length: bytes.length - 34 - header,
        data: bytes.subarray(34 + header),
      };
      this.audit.fromNetwork(segment);
      this.lastHeard = this.clock.now();
      if (this.losses > 0) this.losses--;
      else this.queue.push(segment);
    }
    return burst.count;
  }

  /** Sends a frame to the network, unless it gets lost. */
  put(frame: Uint8Array, large: boolean): void {
    this.last = large ? undefined : frame;
    if (this.losses > 0) {
      this.losses--;
      return;
    }
    const view = new DataView(frame.buffer);
    const header = (frame[46] >> 4) * 4;
    this.audit.toNetwork({
      sequence: view.getInt32(38),
      acknowledged: view.getInt32(42),
      flags: frame[47] & 23,
      window: view.getUint16(48),
      length: frame.length - 34 - header,
    });
    this.lastHeard = this.clock.now();
    this.burst.clear();
    this.burst.addSegment(frame, 0, frame.length);
    this.burst.endFrame(1, large ? 1 : 0, HEADERS, large ? this.world.mss : 0, 34, 16);
    this.network.take(this.burst, 0);
  }

  // --- the guest's TCP (RFC 9293, 3.10, as plainly as can be)
  send(flags: number, from: number, length: number): void {
    this.ackDue = false;
    const scaled = Math.max(0, this.state === "opening" ? 0 : this.scale);
    const said = Math.min(0xffff, Math.max(0, this.world.capacity - this.unread) >> scaled);
    this.edge = Math.max(this.edge, this.expected + (said << scaled));
    const isSyn = (flags & SYN) !== 0;
    const { mss } = this.world;
    const options = isSyn
      ? Uint8Array.of(2, 4, mss >> 8, mss & 255, ...(this.scale >= 0 ? [1, 3, 3, this.scale] : []))
      : new Uint8Array(0);
    const frame = tcpFrame({
      fromPort: 50_000,
      toPort: 80,
      sequence: this.base + from,
      acknowledged: isSyn ? 0 : this.networkBase + this.expected,
      flags,
      window: said,
      options,
      data: fill(length, from, upAt),
      partial: true,
    });
    this.put(frame, length > mss);
  }

  output(size: number, count: number): void {
    if (this.state !== "open") return;
    for (let i = 0; i < count; i++) {
      const left = this.written - this.next;
      const n = Math.min(left, this.una + this.window - this.next, size);
      const fin = this.wantsEnd && left >= 0 && n === left;
      if (n < 0 || (n === 0 && !fin)) break;
      const from = this.next;
      this.next += n + (fin ? 1 : 0);
      if (this.next > this.max) this.max = this.next;
      this.send(ACK | (fin ? FIN : 0), from, n);
    }
    if (this.ackDue) this.send(ACK, this.next, 0);
  }

  timeout(): void {
    if (this.state === "opening") this.send(SYN, -1, 0);
    if (this.state !== "open" || this.una === this.written + (this.wantsEnd ? 1 : 0)) return;
    if (this.next > this.una) this.next = this.una;
    if (this.window === 0) this.send(ACK, this.una - 1, 0);
    else this.output(this.world.mss, 1);
  }

  hear(s: Arrived): void {
    if (this.state === "reset") return;
    if ((s.flags & RST) !== 0) {
      this.state = "reset";
      return;
    }
    if ((s.flags & SYN) !== 0) {
      if (this.state === "opening") {
        this.state = "open";
        this.networkBase = (s.sequence + 1) | 0;
        this.window = s.window;
      }
      this.ackDue = true;
      return;
    }
    if (this.state === "opening") return;
    const acknowledged = (s.acknowledged - this.base) | 0;
    if (acknowledged > this.una) {
      this.una = acknowledged;
      if (this.next < acknowledged) this.next = acknowledged;
    }
    if (acknowledged === this.una) this.window = s.window << this.networkScale;
    const from = (s.sequence - this.networkBase) | 0;
    const span = s.length + (s.flags & FIN);
    if (span === 0) {
      if (from !== this.expected) this.ackDue = true;
      return;
    }
    this.ackDue = true;
    if (from > this.expected || from + span <= this.expected) return;
    for (let i = this.expected; i < from + s.length; i++) {
      if (s.data[i - from] !== downAt(i)) throw new Error(`byte ${i} for the guest is ${s.data[i - from]}`);
    }
    this.unread += from + s.length - this.expected;
    this.expected = from + span;
    if ((s.flags & FIN) !== 0) this.heardEnd = true;
  }

  hearSome(count: number): void {
    for (let i = 0; i < count; i++) {
      const segment = this.queue.shift();
      if (segment === undefined) return;
      this.hear(segment);
    }
  }

  /** The host's program sends. */
  give(n: number): void {
    if (this.handlers === undefined || this.state === "opening" || this.hostEnded || this.hostOver) return;
    if (this.paused) return;
    const bytes = fill(n, this.given, downAt);
    this.given += n;
    this.audit.given = this.given;
    this.lastHeard = this.clock.now();
    this.handlers.data(bytes);
    bytes.fill(0xee); // it is the host's buffer again
  }

  endHost(): void {
    if (this.handlers === undefined || this.state === "opening" || this.hostEnded || this.hostOver) return;
    if (this.paused) return;
    this.hostEnded = true;
    this.audit.ended = true;
    this.lastHeard = this.clock.now();
    this.handlers.ended();
    this.closeHost();
  }

  /** The host's socket lets go of bytes, oldest first. */
  drain(n: number): void {
    let left = n;
    while (left > 0 && this.held.length > 0 && !this.hostOver) {
      const bytes = this.held[0];
      const count = Math.min(left, bytes.length);
      for (let i = 0; i < count; i++) {
        if (bytes[i] !== upAt(this.got + i)) throw new Error(`byte ${this.got + i} for the host is ${bytes[i]}`);
      }
      this.got += count;
      left -= count;
      if (count === bytes.length) this.held.shift();
      else this.held[0] = bytes.subarray(count);
      this.audit.taken();
      this.lastHeard = this.clock.now();
      this.handlers.written(count);
    }
    this.closeHost();
  }

  closeHost(): void {
    if (!this.hostTold || !this.hostEnded || this.held.length > 0 || this.hostOver) return;
    this.hostOver = true;
    this.handlers.closed();
  }

  pass(ms: number): void {
    // Half-closed connections that nobody uses may be given up after 4 minutes (RFC 5382, REQ-5): not the story here.
    if (this.clock.now() + ms - this.lastHeard > 200_000) return;
    this.audit.event = "alarm";
    this.clock.advance(ms);
    this.audit.event = "other";
    this.audit.passed();
  }

  act({ act, n }: Step): void {
    switch (act) {
      case "guest writes":
        if (!this.wantsEnd) this.written += this.world.receiveLimit < 100 ? n & 15 : n; // byte by byte takes its time
        break;
      case "guest sends":
        this.output([1, 100, this.world.mss, 4 * this.world.mss][n & 3], 1 + ((n >> 2) & 3));
        break;
      case "guest reads":
        this.read(n);
        break;
      case "guest ends":
        this.wantsEnd = true;
        break;
      case "guest hears":
        this.hearSome(1 + (n & 15));
        break;
      case "guest repeats":
        if (this.last !== undefined) this.put(this.last, false);
        break;
      case "guest probes":
        if (this.state === "open") this.send(ACK, this.una - 1, 0);
        break;
      case "host gives":
        this.give(this.world.capacity < 100 ? n & 15 : n);
        break;
      case "host takes":
        this.drain(n);
        break;
      case "host ends":
        this.endHost();
        break;
      case "room":
        this.makeRoom(n & 7);
        break;
      case "loss":
        this.losses = n & 3;
        break;
      case "time":
        this.pass(TIMES[n % TIMES.length]);
        if ((n & 8) !== 0) this.timeout();
        break;
    }
  }

  makeRoom(frames: number): void {
    this.room = frames;
    this.audit.event = "room";
    this.network.resume();
    this.audit.event = "other";
  }

  read(n: number): void {
    const free = this.world.capacity - this.unread;
    this.unread = Math.max(0, this.unread - n);
    if (!this.heardEnd && free < this.world.mss && this.world.capacity - this.unread > free) this.ackDue = true;
  }

  get isDone(): boolean {
    return (
      this.heardEnd &&
      // The last ACK got lost, and the guest was silent for longer than TIME-WAIT: it is told that all is over.
      (this.una === this.written + 1 || this.state === "reset") &&
      this.got === this.written &&
      this.hostTold &&
      this.expected === this.given + 1 &&
      this.audit.isAcknowledged
    );
  }

  /** No more losses: both ends read everything and end. */
  finish(): void {
    this.losses = 0;
    this.makeRoom(Number.POSITIVE_INFINITY);
    for (let round = 0; round < 3000 && !this.isDone; round++) {
      this.drain(1_000_000);
      this.read(1_000_000);
      this.hearSome(1000);
      this.wantsEnd = true;
      this.ackDue ||= this.audit.isUnsure;
      this.output(this.world.mss, 20);
      this.endHost();
      if (this.queue.length === 0 && this.held.length === 0) {
        this.pass(round < 100 ? 100 : 1000);
        if (round % 10 === 9) this.timeout();
      }
    }
    if (!this.isDone) {
      throw new Error(
        `not done: guest ${this.expected}/${this.given}, host ${this.got}/${this.written}, ${this.state}, paused ${this.paused}`,
      );
    }
    for (let i = 0; i < 3; i++) {
      this.hearSome(1000);
      this.output(this.world.mss, 1);
    }
  }
}

/** Plays a story to its end; throws at the first thing that is wrong. */
export function tell(world: World, steps: readonly Step[]): void {
  const story = new Story(world);
  story.send(SYN, -1, 0);
  story.handlers.connected();
  for (const step of steps) story.act(step);
  story.finish();
  const { seen } = story.audit;
  story.audit.event = "alarm";
  story.clock.advance(10_000_000);
  if (story.audit.seen !== seen) throw new Error("something is sent when all is over");
  const { counters } = story.network;
  if (counters.tcpActive !== 0) throw new Error("a connection is left");
  if (counters.tcpBytesToGuest !== story.given) throw new Error(`${counters.tcpBytesToGuest} bytes are counted`);
  if (counters.tcpBytesFromGuest !== story.written) throw new Error(`${counters.tcpBytesFromGuest} bytes are counted`);
  story.network.close();
  if (story.clock.pending !== 0) throw new Error("a timer is left");
}
