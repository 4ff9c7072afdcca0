/** The NIC: frames out must be what the guest wrote, frames in what was sent, on a link that does what it likes. */
import { FrameBurst, type NetBackend } from "@virtio-ts/net-link";
import { NetDevice } from "@virtio-ts/virtio-net/device";
import { sizeOf } from "./arena.ts";
import type { Random } from "./port.ts";
import type { Chain, Piece, Used } from "./ring.ts";
import type { MakeSubject, Subject } from "./subject.ts";
import { FOREIGN, QUEUE_SIZE, type World } from "./world.ts";

const RX = 0;
const TX = 1;
const CSUM = 0;
const GUEST_CSUM = 1;
const MTU = 3;
const MAC = 5;
const HOST_TSO4 = 11;
const MRG_RXBUF = 15;
const STATUS = 16;
const FRAMES = [0, 1, 13, 14, 15, 60, 61, 300, 1514, 1515, 1522, 65_550];
const BUFFERS = [0, 1, 11, 12, 13, 72, 300, 1526, 1526, 2048];
const SENT = [0, 1, 13, 14, 60, 61, 200, 1514, 1530];

/** Bytes that no memory of the guest's has. */
const WIRE = Uint8Array.from({ length: 0x2_0000 }, (_, i) => Math.imul(i + 77, 0x2545_f491) >>> 24);

/** A frame on its way in. */
interface Incoming {
  readonly bytes: Uint8Array;
  delivered: boolean;
}

class NicSubject implements Subject {
  readonly features = [CSUM, GUEST_CSUM, MTU, MAC, HOST_TSO4, MRG_RXBUF, STATUS];
  readonly #world: World;
  readonly #gathers: boolean;
  readonly #backend: NetBackend;
  #nic!: NetDevice;
  /** Frames of bursts that the NIC is at. */
  #incoming: Incoming[] = [];
  /** Chains that came back without having been anybody's frame, in this life of the device. */
  #unsent = 0;
  #droppedBefore = 0;
  #random: Random;

  constructor(world: World, gathers: boolean) {
    this.#world = world;
    this.#gathers = gathers;
    this.#random = world.random;
    this.#backend = {
      accepts: 15,
      take: (burst, first) => this.#taken(burst, first),
      resume: () => {},
      attach: () => {},
      detach: () => {},
    };
  }

  make(): NetDevice {
    this.#nic = new NetDevice({
      queueSize: QUEUE_SIZE,
      mac: Uint8Array.of(2, 0, 0, 0, 0, 1),
      transmit: this.#gathers ? "gathered" : "at-once",
    });
    this.#nic.attach(this.#backend);
    this.ended();
    return this.#nic;
  }

  pieces(queue: number, random: Random): Piece[] {
    const world = this.#world;
    if (queue === RX) {
      return Array.from({ length: 1 + random(3) }, () => world.piece(BUFFERS[random(BUFFERS.length)], true));
    }
    const { headerSize } = world;
    const length = SENT[random(SENT.length)];
    const apart = random(2) === 0;
    const pieces = apart
      ? [world.piece(headerSize, false), world.piece(length, false)]
      : [world.piece(headerSize + length, false)];
    if (random(4) === 0) pieces.push(world.piece(BUFFERS[random(5)], false));
    if (random(8) === 0) pieces.unshift(world.piece(random(3), false));
    if (random(8) === 0) pieces.push(world.piece(random(20), true));
    if (random(8) > 0) world.arena.fill(pieces[0].address, Math.min(headerSize, pieces[0].length));
    return pieces;
  }

  outside(random: Random): void {
    const kind = random(8);
    if (kind === 0) this.#link(random(3) > 0);
    else if (kind < 3) this.#world.act("room again", () => this.#nic.resume());
    else this.#push(Array.from({ length: 1 + random(4) }, () => this.#frame(FRAMES[random(FRAMES.length)], random)));
  }

  used(queue: number, used: readonly Used[]): void {
    if (queue === TX) {
      this.#unsent += used.filter(({ chain }) => !chain.sent).length;
      const { txShortHeader, txShortFrame, txLongFrame, txBadHeader, txNoLink } = this.#nic.counters.dropped;
      const dropped = txShortHeader + txShortFrame + txLongFrame + txBadHeader + txNoLink - this.#droppedBefore;
      if (this.#unsent > dropped) throw new Error(`${this.#unsent} chains back unsent, ${dropped} counted as dropped`);
    } else {
      this.#received(used);
    }
  }

  ended(): void {
    const { txShortHeader, txShortFrame, txLongFrame, txBadHeader, txNoLink } = this.#nic.counters.dropped;
    this.#droppedBefore = txShortHeader + txShortFrame + txLongFrame + txBadHeader + txNoLink;
    this.#unsent = 0;
    this.#incoming = [];
  }

  works(): void {
    const world = this.#world;
    this.#link(true);
    const calm = (): number => 1;
    this.#random = calm;
    const header = world.piece(world.headerSize, false);
    world.arena.fill(header.address, header.length);
    const { frames } = this.#nic.counters.tx;
    world.offer(TX, [header, world.piece(60, false)]);
    world.kick(TX);
    for (let i = 0; i < 3; i++) world.turn();
    world.offer(RX, [world.piece(2000, true)]);
    world.kick(RX);
    const came = this.#nic.counters.rx.frames;
    this.#push([this.#frame(90, world.random)]);
    this.#random = world.random;
    const moved = [this.#nic.counters.tx.frames - frames, this.#nic.counters.rx.frames - came];
    if (moved[0] !== 1 || moved[1] !== 1)
      throw new Error(`after a reset ${moved} frames went out and came in, not 1,1`);
    if (world.rings.some((ring) => ring?.outstanding.length !== 0)) throw new Error("a chain was not given back");
  }

  #link(up: boolean): void {
    this.#world.act(`link ${up}`, () => {
      this.#nic.linkUp = up;
    });
  }

  #frame(length: number, random: Random): Uint8Array {
    const at = random(WIRE.length - length);
    const bytes = WIRE.slice(at, at + length);
    if (length > 14) bytes.set([8, 0], 12); // no tag
    return bytes;
  }

  #push(frames: readonly Uint8Array[]): void {
    const burst = new FrameBurst();
    for (const bytes of frames) {
      const cut = bytes.length >> 1;
      if (cut > 0) burst.addSegment(bytes, 0, cut);
      burst.addSegment(bytes, cut, bytes.length - cut);
      burst.endFrame();
    }
    const incoming = frames.map((bytes): Incoming => ({ bytes, delivered: false }));
    this.#incoming.push(...incoming);
    const { dropped } = this.#nic.counters;
    const before = dropped.rxNotReady + dropped.rxLongFrame + dropped.rxTooLarge;
    const { life, acts } = this.#world;
    let taken = 0;
    this.#world.act(`frames of ${frames.map(({ length }) => length)} bytes`, () => {
      taken = this.#nic.take(burst, 0);
    });
    const refused = incoming.slice(taken);
    this.#incoming = this.#incoming.filter((frame) => !incoming.includes(frame));
    if (this.#world.tangled || life !== this.#world.life) return;
    if (refused.some(({ delivered }) => delivered)) throw new Error("a frame that was not taken was delivered");
    if (this.#world.acts !== acts + 1) return; // another burst came in meanwhile
    const lost = taken - incoming.filter(({ delivered }) => delivered).length;
    const counted = dropped.rxNotReady + dropped.rxLongFrame + dropped.rxTooLarge - before;
    if (lost !== counted) throw new Error(`${lost} frames were taken and not delivered, ${counted} counted as dropped`);
  }

  /** Receive buffers came back: each packet must be the next frame that was not dropped. */
  #received(used: readonly Used[]): void {
    const { arena, headerSize, mergeable } = this.#world;
    const chains = [...used];
    while (chains.length > 0) {
      const first = chains.shift() as Used;
      if (first.length === 0 && sizeOf(first.chain.writable) < headerSize) continue; // no room for a header
      const header = arena.read(first.chain.writable, headerSize);
      const count = mergeable ? header[10] | (header[11] << 8) : 1;
      const all = [first, ...chains.splice(0, count - 1)];
      if (all.length !== count) throw new Error(`num_buffers is ${count}, ${all.length} came`);
      const bytes = Buffer.concat(all.map(({ chain, length }) => arena.read(chain.writable, length))).subarray(
        headerSize,
      );
      const frame = this.#incoming.find(
        (incoming) => !incoming.delivered && Buffer.compare(incoming.bytes, bytes) === 0,
      );
      if (frame === undefined) throw new Error(`a frame of ${bytes.length} bytes was received that nobody sent`);
      frame.delivered = true;
      if (header.subarray(0, 10).some((byte) => byte !== 0)) throw new Error(`a header of [${header}]`);
    }
  }

  /** The NIC hands frames over: the link does what it likes. */
  #taken(burst: FrameBurst, first: number): number {
    const random = this.#random;
    const world = this.#world;
    let taken = burst.count;
    world.callback("take", () => {
      const chains = this.#sources(burst, first);
      const kind = random(9);
      if (kind === 2) taken = first + random(burst.count - first + 1);
      for (const chain of chains.slice(0, taken - first)) chain.sent = true;
      world.frames += taken - first;
      if (kind === 3) throw FOREIGN;
      if (kind === 4) world.guest(random);
      if (kind === 5 && world.depth < 3) this.outside(random);
      if (kind === 6 && random(4) === 0) world.reset();
    });
    return taken;
  }

  /** The chains that frames were made of, each the next of those that are available. */
  #sources(burst: FrameBurst, first: number): Chain[] {
    const { world, sources } = { world: this.#world, sources: [] as Chain[] };
    if (world.tangled) return sources;
    const waiting = (world.rings[TX]?.outstanding ?? []).filter(({ sent }) => !sent);
    for (let i = first; i < burst.count; i++) {
      const bytes = new Uint8Array(burst.lengths[i]);
      burst.copyFrame(i, 0, bytes, 0, bytes.length);
      for (;;) {
        const chain = waiting.shift();
        if (chain === undefined) throw new Error(`a frame of ${bytes.length} bytes is of no chain that is available`);
        const expected = world.arena.read(chain.readable).subarray(world.headerSize);
        if (expected.length !== bytes.length || Buffer.compare(expected, bytes) !== 0) continue;
        sources.push(chain);
        break;
      }
    }
    return sources;
  }
}

/** @param gathers frames of kicks in one turn are sent together */
export function nic(gathers: boolean): MakeSubject {
  return (world) => new NicSubject(world, gathers);
}
