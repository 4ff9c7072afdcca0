/**
 * Ends, links and switches driven by a script, beside a plain model of them: a bridge as IEEE 802.1D, 7.7 to 7.9
 * describes it, frames as copied byte arrays, a list of the frames each end must still get. The model is independent of
 * the code under test, and checks it at each call.
 */
import {
  connect,
  FrameBurst,
  type Link,
  type NetBackend,
  type NetPort,
  Switch,
  type SwitchPort,
} from "../../src/index.ts";

/** The script: numbers that select what happens. After its end only plain sending and taking happens. */
export class Script {
  #at = 0;
  readonly #words: readonly number[];
  constructor(words: readonly number[]) {
    this.#words = words;
  }
  get left(): number {
    return this.#words.length - this.#at;
  }
  /** A number below `n`. */
  pick(n: number): number {
    return this.#at < this.#words.length ? this.#words[this.#at++] % n : 0;
  }
}

/** What an end may do besides taking and sending. */
export const ALL_DEEDS = ["remove", "part", "down", "throw", "answer", "refuse", "join"] as const;
export type Deed = (typeof ALL_DEEDS)[number];

const GROUP = [
  [255, 255, 255, 255, 255, 255],
  [1, 0, 0x5e, 0, 0, 1],
];
const RESERVED = [1, 0x80, 0xc2, 0, 0, 0];
const station = (n: number): number[] => [2, 0, 0, 0, 0, n];

interface Sent {
  readonly id: number;
  readonly by: End;
  readonly bytes: readonly number[];
}

/** A port of the modelled bridge: the end it leads to, and the frames on their way there. */
interface Way {
  readonly end: End;
  /** Frames that the model expects for the end and that have not arrived, oldest first. */
  due: Sent[];
  /** Frames that were due and must have been counted as lost. */
  lost: number;
  /** Losses that the code under test counted when a link or port was removed. */
  counted: () => number;
}

class Bridge {
  readonly real: Switch;
  readonly table = new Map<number, Jack>();
  readonly jacks: Jack[] = [];
  constructor(real: Switch) {
    this.real = real;
  }
  forget(jack: Jack): void {
    for (const [address, at] of this.table) if (at === jack) this.table.delete(address);
  }
}

/** A port of a bridge, with the link that is at it. */
class Jack {
  readonly bridge: Bridge;
  readonly port: SwitchPort;
  way: Way | undefined;
  /** The last way; the port counts its losses until there is another. */
  last: Way | undefined;
  removed = false;
  nobody = 0;
  constructor(bridge: Bridge) {
    this.bridge = bridge;
    this.port = bridge.real.addPort();
  }
}

class End implements NetBackend {
  readonly accepts = 15;
  readonly world: World;
  readonly number: number;
  peer: NetPort | undefined;
  link: Link | undefined;
  /** Towards this end. */
  way: Way | undefined;
  jack: Jack | undefined;
  /** At the other end of a direct link. */
  opposite: End | undefined;
  isUp = false;
  /** What it could not send yet. */
  waiting: Sent[] = [];
  sending = false;
  /** `resume` was called in the middle of a send. */
  told = false;
  full = false;
  taking = false;
  lostHere = 0;

  constructor(world: World, number: number) {
    this.world = world;
    this.number = number;
  }

  attach(peer: NetPort): void {
    this.peer = peer;
  }
  detach(): void {
    this.peer = undefined;
  }
  resume(): void {
    if (this.sending) this.told = true;
    else this.world.send(this);
  }

  take(burst: FrameBurst, first: number): number {
    const { world } = this;
    world.check(!this.taking, "an end was called within its own take");
    world.check(burst.count > first, "an end was called without frames");
    world.check(world.deeds() < 20_000, "more was done in one call than a turn may hold");
    if (this.full) return first;
    this.taking = true;
    try {
      return this.#answer(burst, first);
    } finally {
      this.taking = false;
    }
  }

  #answer(burst: FrameBurst, first: number): number {
    const { world, way } = this;
    const { script } = world;
    const { count } = burst;
    const copies: number[][] = [];
    const read = (i: number): number[] => {
      const bytes = new Uint8Array(burst.lengths[i]);
      world.check(burst.copyFrame(i, 0, bytes, 0, bytes.length) === bytes.length, "a frame is shorter than it says");
      return [...bytes];
    };
    const eager = script.pick(2) === 0;
    if (eager) for (let i = first; i < count; i++) copies.push(read(i));
    for (let n = script.pick(4); n > 1; n--) world.deed(this);
    world.check(burst.count === count, "a burst was changed in the hands of an end");
    if (!eager) for (let i = first; i < count; i++) copies.push(read(i));
    if (way === undefined) throw new Error("an end was called that is at no link");
    if (world.may("throw") && script.pick(6) === 5) {
      for (const bytes of copies) world.lose(way, bytes);
      world.thrown++;
      throw new Error("scripted");
    }
    let n = copies.length;
    if (world.may("refuse") && script.pick(3) === 2) {
      n = script.pick(copies.length + 1);
      if (n < copies.length) {
        this.full = true;
        if (script.pick(3) === 2) this.hasRoom(); // it finds room before it has said that it had none
      }
    }
    for (const bytes of copies.slice(0, n)) world.arrived(way, bytes);
    return n;
  }

  hasRoom(): void {
    this.full = false;
    this.peer?.resume();
  }
}

export class World {
  readonly script: Script;
  readonly errors: unknown[] = [];
  thrown = 0;
  readonly #allowed: ReadonlySet<Deed>;
  readonly #bridges: Bridge[] = [];
  readonly #ends: End[] = [];
  readonly #later: (() => void)[] = [];
  #ids = 0;
  #calls = 0;
  #depth = 0;
  /** The losses on ways that are gone, and the losses that were counted for them. */
  readonly #past: Way[] = [];

  constructor(script: Script, allowed: readonly Deed[] = ALL_DEEDS) {
    this.script = script;
    this.#allowed = new Set(allowed);
    const bridges = script.pick(3);
    for (let i = 0; i < bridges; i++) {
      const frames = [2, 5, 512][script.pick(3)];
      this.#bridges.push(new Bridge(new Switch({ now: () => 0, queue: { frames } })));
    }
    const ends = 2 + script.pick(4);
    for (let i = 0; i < ends; i++) this.#ends.push(new End(this, i));
    for (const end of this.#ends) this.#plug(end);
  }

  check(fact: boolean, otherwise: string): void {
    if (!fact) this.#fault(otherwise);
  }

  #fault(what: string): never {
    this.#broken ??= what; // an end's errors are reported, not thrown: the first is kept for later
    throw new Error(what);
  }
  #broken: string | undefined;

  may(deed: Deed): boolean {
    return this.#allowed.has(deed);
  }

  deeds(): number {
    return ++this.#calls;
  }

  /** Something an end does from within a take, or between two. */
  deed(by: End): void {
    const { script } = this;
    const other = this.#ends[script.pick(this.#ends.length)];
    switch (script.pick(8)) {
      case 0:
      case 1:
        if (this.may("answer")) this.newFrames(other);
        return;
      case 2:
        if (this.may("down")) this.#turn(other, !other.isUp);
        return;
      case 3:
        if (this.may("part")) this.#part(other);
        return;
      case 4:
        if (this.may("remove")) this.#remove(other);
        return;
      case 5:
        if (this.may("join")) this.#plug(other);
        return;
      case 6:
        if (other.full) other.hasRoom();
        return;
      default:
        by.peer?.resume(); // for no reason
    }
  }

  /** Makes frames for an end to send, and lets it. */
  newFrames(end: End): void {
    if (end.link === undefined) return;
    for (let n = script01(this.script) + this.script.pick(3); n > 0; n--) {
      const kind = this.script.pick(8);
      const to = kind === 7 ? RESERVED : kind < 3 ? GROUP[kind & 1] : station(this.script.pick(this.#ends.length));
      const from = this.script.pick(9) === 8 ? station(this.script.pick(this.#ends.length)) : station(end.number);
      const id = this.#ids++;
      const bytes = [...to, ...from, 8, 0, id & 255, (id >>> 8) & 255, (id >>> 16) & 255];
      for (let k = this.script.pick(30); k > 0; k--) bytes.push((id * 7 + k) & 255);
      end.waiting.push({
        id,
        by: end,
        bytes: this.script.pick(20) === 19 ? bytes.slice(0, this.script.pick(14)) : bytes,
      });
    }
    this.send(end);
  }

  /** Sends waiting frames until one is refused; overwrites the lent memory as soon as the call is over. */
  send(end: End): void {
    const { peer, link } = end;
    if (end.sending || end.waiting.length === 0 || peer === undefined) return;
    end.sending = true;
    if (this.#depth === 0) this.#calls = 0;
    this.#depth++;
    const sent = [...end.waiting];
    end.told = false;
    const burst = new FrameBurst(1, 1);
    const lent: Uint8Array[] = [];
    for (const { bytes } of sent) {
      for (let at = 0, n = 0; at < bytes.length; at += n) {
        n = 1 + this.script.pick(40);
        const memory = Uint8Array.from([9, ...bytes.slice(at, at + n), 9]);
        lent.push(memory);
        burst.addSegment(memory, 1, memory.length - 2);
      }
      burst.endFrame();
    }
    const expect = this.#expectations(end, sent);
    let taken: number;
    try {
      taken = peer.take(burst, 0);
    } finally {
      for (const memory of lent) memory.fill(0xee);
      end.sending = false;
      this.#depth--;
    }
    this.check(taken >= 0 && taken <= sent.length, "more frames were taken than were sent");
    expect(taken);
    if (end.link !== link) {
      this.send(end); // what is left went with the cable, but there may be another, and frames for it
      return;
    }
    end.waiting = [...sent.slice(taken), ...end.waiting.slice(sent.length)];
    if (end.told || (taken > 0 && taken === sent.length)) this.send(end);
  }

  /**
   * What the model expects of frames that an end sends now: a bridge takes all of them, at once, before anything else
   * happens; a direct link takes as many as the other end does. The bridge's own count of frames shows, once, whether
   * they reached it: a link whose port has another sender's frames in hand refuses them.
   */
  #expectations(end: End, sent: readonly Sent[]): (taken: number) => void {
    const { jack, opposite, isUp } = end;
    if (!isUp && opposite?.way !== undefined) opposite.way.lost += sent.length;
    if (!isUp) return (taken) => this.check(taken === sent.length, "a link that is down let its sender wait");
    if (jack !== undefined) {
      if (this.#inHand.has(end)) {
        return (taken) =>
          this.check(taken === 0 || !end.isUp || end.jack !== jack, "a port was called within its own take");
      }
      this.#inHand.add(end);
      for (const frame of sent) this.#bridged(jack, frame);
      return (taken) => {
        this.#inHand.delete(end);
        this.check(taken === sent.length, "a switch let its sender wait");
      };
    }
    const way = opposite?.way;
    if (way === undefined) return () => {};
    // All are offered; the taker marks those it takes as arrived. The rest is not on its way.
    way.due.push(...sent);
    return (taken) => {
      const left = new Set(sent.slice(taken).map(({ id }) => id));
      const before = way.due.length;
      way.due = way.due.filter(({ id }) => !left.has(id));
      this.check(before - way.due.length === left.size, "frames arrived that their sender was left with");
    };
  }
  readonly #inHand = new Set<End>();

  #bridged(from: Jack, frame: Sent): void {
    const { bridge } = from;
    const { bytes } = frame;
    if (from.removed) return;
    if (bytes.length < 14) return;
    const to = addressAt(bytes, 0);
    const source = bytes.slice(6, 12);
    if ((source[0] & 1) === 0 && source.some((byte) => byte !== 0)) bridge.table.set(addressAt(bytes, 6), from);
    if (to >= 0x0180_c200_0000 && to <= 0x0180_c200_000f) return;
    const known = (bytes[0] & 1) === 0 ? bridge.table.get(to) : undefined;
    for (const jack of known === undefined ? bridge.jacks : [known]) {
      if (jack === from) continue;
      if (jack.way === undefined) jack.nobody++;
      else jack.way.due.push(frame);
    }
  }

  arrived(way: Way, bytes: readonly number[]): void {
    const i = way.due.findIndex((frame) => same(frame.bytes, bytes));
    if (i < 0) this.#fault(`end ${way.end.number} got a frame that is not for it, or that it had: ${bytes}`);
    // Frames come in order: earlier due frames of the same sender were dropped on the way.
    const { by } = way.due[i];
    const rest = way.due.filter((frame, k) => k > i || (k < i && frame.by !== by));
    way.lost += way.due.length - rest.length - 1;
    way.due = rest;
  }

  lose(way: Way, bytes: readonly number[]): void {
    this.arrived(way, bytes);
    way.lost++;
  }

  #plug(end: End): void {
    if (end.link !== undefined) return;
    const { script } = this;
    const at = script.pick(this.#bridges.length + 1);
    const onError = (cause: unknown): void => void this.errors.push(cause);
    if (at < this.#bridges.length) {
      const bridge = this.#bridges[at];
      const spare = bridge.jacks.find((jack) => jack.way === undefined && jack.last?.end.taking !== true);
      const jack = spare !== undefined && script.pick(2) === 1 ? spare : new Jack(bridge);
      if (jack !== spare) bridge.jacks.push(jack);
      if (jack.last !== undefined) {
        const counted = jack.last.counted();
        jack.last.counted = () => counted;
      }
      const link = connect(end, jack.port, { onError });
      const { given } = jack.port.counters;
      this.check(given.droppedFull + given.droppedCleared === 0, "the counters of a port start with its peer");
      end.jack = jack;
      jack.way = { end, due: [], lost: 0, counted: () => lostTo(link.bToA, jack.port.counters.given) };
      jack.last = jack.way;
      this.#joined(end, link, jack.way);
    } else {
      const other = this.#ends.find((each) => each !== end && each.link === undefined);
      if (other === undefined) return;
      const link = connect(end, other, { onError });
      end.opposite = other;
      other.opposite = end;
      this.#joined(end, link, { end, due: [], lost: 0, counted: () => lostTo(link.bToA) });
      this.#joined(other, link, { end: other, due: [], lost: 0, counted: () => lostTo(link.aToB) });
    }
  }

  #joined(end: End, link: Link, way: Way): void {
    end.link = link;
    end.way = way;
    end.isUp = true;
    end.full = false;
    this.#past.push(way);
  }

  #turn(end: End, up: boolean): void {
    if (end.link === undefined) return;
    for (const each of [end, end.opposite]) if (each !== undefined) each.isUp = up;
    if (!up && end.jack !== undefined) end.jack.bridge.forget(end.jack);
    end.link.up = up;
  }

  #part(end: End): void {
    const { link, jack, opposite } = end;
    if (link === undefined) return;
    for (const each of [end, opposite]) {
      if (each === undefined) continue;
      each.isUp = false;
      each.link = undefined;
      each.jack = undefined;
      each.opposite = undefined;
      each.waiting = [];
    }
    if (jack !== undefined) {
      jack.bridge.forget(jack);
      jack.way = undefined;
    }
    link.disconnect();
  }

  #remove(end: End): void {
    const { jack } = end;
    if (jack === undefined || jack.removed) return;
    const { bridge } = jack;
    bridge.jacks.splice(bridge.jacks.indexOf(jack), 1);
    bridge.forget(jack);
    jack.removed = true;
    bridge.real.removePort(jack.port);
    jack.way = undefined;
  }

  /** Plays the script, then lets every end take and send all frames that are left, and checks that none remain. */
  run(): void {
    const host = globalThis as { setImmediate?: unknown };
    const { setImmediate } = host;
    host.setImmediate = (task: () => void) => this.#later.push(task);
    try {
      for (let steps = 0; this.script.left > 0 && steps < 40; steps++) {
        const end = this.#ends[this.script.pick(this.#ends.length)];
        if (this.script.pick(3) === 0) this.deed(end);
        else this.newFrames(end);
        this.#settle(false);
      }
      this.#settle(true);
    } finally {
      host.setImmediate = setImmediate;
    }
  }

  #settle(all: boolean): void {
    for (const task of this.#later.splice(0)) task();
    for (let round = 0; all && round < 200 && this.#ends.some((end) => end.full || end.waiting.length > 0); round++) {
      for (const end of this.#ends) {
        if (end.full) end.hasRoom();
        this.check(
          end.link === undefined || end.full || end.waiting.length === 0 || round < 199,
          "a sender was not told to go on",
        );
      }
      for (const task of this.#later.splice(0)) task();
    }
    if (this.#broken !== undefined) throw new Error(this.#broken);
    if (!all) return;
    this.check(
      this.errors.length === this.thrown,
      `${this.thrown} errors, ${this.errors.length} reported: ${this.errors}`,
    );
    for (const way of this.#past) {
      const lost = way.lost + way.due.length;
      this.check(way.counted() === lost, `to end ${way.end.number} ${lost} frames were lost, ${way.counted()} counted`);
    }
    for (const bridge of this.#bridges) {
      for (const jack of bridge.jacks) {
        const { droppedDetached } = jack.port.counters;
        this.check(
          droppedDetached === jack.nobody,
          `${jack.nobody} frames were for nobody, ${droppedDetached} counted`,
        );
      }
    }
  }
}

function addressAt(bytes: readonly number[], at: number): number {
  return bytes.slice(at, at + 6).reduce((sum, byte) => sum * 256 + byte, 0);
}

function script01(script: Script): number {
  return 1 + script.pick(2);
}

function lostTo(link: Link["aToB"], given = { droppedFull: 0, droppedCleared: 0, droppedFailed: 0 }): number {
  return (
    link.droppedDown +
    link.droppedFailed +
    link.discarded +
    given.droppedFull +
    given.droppedCleared +
    given.droppedFailed
  );
}

function same(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
