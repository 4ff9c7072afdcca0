/**
 * A device, the transport it is behind, and a guest that does at random what drivers do, good ones and bad ones. The
 * oracle stands between them: before a device is called it knows what is offered to it, after that it looks at what was
 * done (VIRTIO 1.4, 2.1, 2.6 to 2.8, 3.1).
 */
import {
  feature,
  VIRTIO_F_EVENT_IDX,
  VIRTIO_F_IN_ORDER,
  VIRTIO_F_INDIRECT_DESC,
  VIRTIO_F_RING_PACKED,
  VIRTIO_F_VERSION_1,
} from "@virtio-ts/virtio-bindings";
import type { DeviceFault } from "@virtio-ts/virtio-device";
import { ManualScheduler, randomNumbers } from "@virtio-ts/virtio-device/testing";
import { Arena, LOW } from "./arena.ts";
import { PackedRing } from "./packed-ring.ts";
import type { Plug, Port, Random, Surroundings } from "./port.ts";
import type { Areas, Flaw, Piece, Ring, RingFeatures } from "./ring.ts";
import { SplitRing } from "./split-ring.ts";
import type { MakeSubject, Subject } from "./subject.ts";

/** Entries of each queue. */
export const QUEUE_SIZE = 16;
/** What code that is not ours throws. */
export const FOREIGN = new Error("foreign code threw");

const QUEUES = [0, 1];
const RINGS_AT = 0x1000;
const RING_BYTES = 0x2000;
const PLACES = 8;
const TABLES = { start: 0x1_2000, end: 0x1_3000 };
const BUFFERS = { start: 0x1_4000, end: LOW.end };
const TABLE_BYTES = 0x100;
/** Frames a device may hand over in one call: a turn's worth, and what others do meanwhile. */
const FRAMES_MAX = 600;
const DEPTH_MAX = 3;

const ACKNOWLEDGE_DRIVER = 3;
const FEATURES_OK = 8;
const DRIVER_OK = 4;
const FAILED = 128;
const MRG_RXBUF = 15;

const FLAWS: readonly Flaw[] = [
  "loop",
  "next out of range",
  "address out of range",
  "table",
  "head out of range",
  "index ahead",
  "too long",
];

const ENDLESS: readonly Flaw[] = ["loop", "too long", "next out of range"];

const RING_FEATURES = [VIRTIO_F_INDIRECT_DESC, VIRTIO_F_EVENT_IDX, VIRTIO_F_IN_ORDER, VIRTIO_F_RING_PACKED];

export class World {
  readonly arena = new Arena();
  readonly rings: (Ring | null)[] = [null, null];
  /** The random numbers of the step that is under way. */
  random: Random = randomNumbers(1);
  /** The guest has offered its own rings, or scribbled in them: what the device makes of it is not foreseen. */
  tangled = false;
  /** Grows with each reset, each move, and each calling of the device. */
  life = 0;
  acts = 0;
  depth = 0;
  frames = 0;
  readonly log: string[] = [];
  readonly #subject: Subject;
  readonly #plug: Plug;
  #scheduler = new ManualScheduler();
  #port: Port;
  #features = 0n;
  #tableAt = TABLES.start;
  #bufferAt = BUFFERS.start;
  /** Whether the device could use its queues when it was called. */
  #heardBefore = false;
  /** It is being kept from memory: what it gives back meanwhile is still good. */
  #parting = false;
  /** The guest answers interrupts on the spot. */
  #answers = false;
  #answering = false;
  /** The machine is stopped: no guest answers. */
  #stopped = false;
  /** The oracle found something: nothing counts any more. */
  #failure: Error | null = null;

  constructor(plug: Plug, make: MakeSubject) {
    this.#plug = plug;
    this.#subject = make(this);
    this.#port = this.#build();
  }

  // -- what was negotiated

  get inOrder(): boolean {
    return this.#has(VIRTIO_F_IN_ORDER);
  }

  get mergeable(): boolean {
    return this.#has(MRG_RXBUF);
  }

  get headerSize(): number {
    return this.#has(VIRTIO_F_VERSION_1) || this.mergeable ? 12 : 10;
  }

  #has(bit: number): boolean {
    return (this.#features & feature(bit)) !== 0n;
  }

  // -- the oracle

  /** Calls the device. @throws Error where it does what it should not */
  act(name: string, call: () => void): void {
    this.#check();
    this.acts++;
    if (this.depth === 0) this.frames = 0;
    this.log.push(`${"  ".repeat(this.depth)}${name}`);
    this.#enter();
    this.depth++;
    try {
      call();
    } catch (cause) {
      this.#fail(cause as Error, "threw");
    }
    this.depth--;
    this.#leave();
    if (this.frames > FRAMES_MAX) this.#fail(new Error(`${this.frames} frames in one call`), "unbounded");
  }

  /** The device calls code that is not its own. What that throws is the device's to see. */
  callback(name: string, call: () => void): void {
    if (this.#failure !== null) return;
    this.log.push(`${"  ".repeat(this.depth)}${name}`);
    this.#leave();
    let foreign: unknown = null;
    try {
      call();
    } catch (cause) {
      if (cause !== FOREIGN) this.#fail(cause as Error, "");
      foreign = cause;
    }
    this.#enter();
    if (foreign !== null) throw foreign;
  }

  #enter(): void {
    for (const ring of this.rings) ring?.scan();
    this.#heardBefore = this.#heard();
    this.arena.begin(this.rings.flatMap((ring) => ring?.writable ?? []));
  }

  #leave(): void {
    if (this.#failure !== null) return;
    try {
      if (this.tangled) {
        this.arena.accept();
      } else {
        this.arena.end(this.#heardBefore || this.#heard());
        for (const queue of QUEUES) this.#settle(queue);
      }
    } catch (cause) {
      this.#fail(cause as Error, "");
    }
  }

  #settle(queue: number): void {
    const used = this.rings[queue]?.settle() ?? [];
    if (used.length > 0) this.#subject.used(queue, used);
  }

  /** Whether the device may use its queues now: a legacy one may before DRIVER_OK (3.1.2). */
  #heard(): boolean {
    const port = this.#port as Port | undefined; // not yet there while it is made
    return (
      (port?.mastering === true || this.#parting) &&
      (port?.legacy === true || ((port?.status() ?? 0) & DRIVER_OK) !== 0)
    );
  }

  #fail(cause: Error, what: string): void {
    this.#failure ??= new Error(`${what} ${cause.message}`, { cause });
  }

  #check(): void {
    if (this.#failure === null) return;
    const { message, cause } = this.#failure;
    throw new Error(`${message.trim()}, after:\n${this.log.slice(-60).join("\n")}`, { cause });
  }

  // -- the guest

  /** One step of a guest gone mad. */
  step(kind: number, seed: number): void {
    this.random = randomNumbers(seed);
    try {
      STEPS[kind % STEPS.length](this, this.random);
    } catch (cause) {
      this.#fail(cause as Error, "");
    }
    this.#check();
  }

  /** After all that: a reset brings the device back. */
  finish(): void {
    this.#answers = false;
    this.random = randomNumbers(7);
    this.#port.mastering = true;
    this.bringUp(this.random, false);
    for (let i = 0; i < 3; i++) this.turn();
    if (this.#port.status() & 0x40) this.#fail(new Error("a device that was just reset asks for a reset"), "");
    try {
      this.#subject.works();
    } catch (cause) {
      this.#fail(cause as Error, "");
    }
    this.#check();
  }

  /** Something that a guest does while the device is at something else. */
  guest(random: Random): void {
    if (this.depth >= DEPTH_MAX) return;
    this.traffic(random);
  }

  turn(): void {
    this.act("turn", () => this.#scheduler.run());
  }

  kick(queue: number): void {
    this.act(`kick ${queue}`, () => this.#port.kick(queue));
  }

  offer(queue: number, pieces: readonly Piece[], flaw: Flaw = "none", indirect = false): void {
    const ring = this.rings[queue];
    if (ring === null || pieces.length === 0 || !ring.room(indirect ? 1 : pieces.length)) return;
    const table = indirect ? this.#table() : null;
    const sorted = [...pieces.filter((piece) => !piece.writable), ...pieces.filter((piece) => piece.writable)];
    ring.scan();
    // Around a packed ring such a chain goes on in the descriptors of others, whatever becomes of them meanwhile.
    const goesOn = ring.features.packed && ENDLESS.includes(flaw) && ring.outstanding.length > 0;
    this.log.push(`offer ${queue}: ${sorted.map((p) => (p.writable ? "w" : "r") + p.length)} ${flaw} ${indirect}`);
    ring.offer(sorted, table, goesOn ? "none" : flaw, this.random);
  }

  /** A buffer that nobody has. */
  piece(length: number, writable: boolean): Piece {
    if (this.#bufferAt + length > BUFFERS.end) this.#bufferAt = BUFFERS.start;
    const address = this.#bufferAt;
    this.#bufferAt += length;
    const taken = this.rings.some((ring) =>
      ring?.outstanding.some(({ readable, writable: ranges }) =>
        [...readable, ...ranges].some(({ start, end }) => start < address + length && end > address),
      ),
    );
    return { address, length: taken ? 0 : length, writable };
  }

  /** Offers and kicks, now and then what is not well formed. */
  traffic(random: Random): void {
    const queue = random(2);
    for (let n = random(5); n >= 0; n--) {
      const indirect = this.rings[queue]?.features.indirect === true && random(3) === 0;
      this.offer(queue, this.#subject.pieces(queue, random), "none", indirect);
    }
    this.rings[queue]?.suppress(random);
    if (random(4) > 0) this.kick(queue);
  }

  /** Offers what no driver should. */
  mischief(random: Random): void {
    const queue = random(2);
    const kind = random(10);
    if (kind < 4) {
      this.offer(queue, this.#subject.pieces(queue, random), FLAWS[random(FLAWS.length)]);
    } else if (kind < 7) {
      const empty = Array.from({ length: 1 + random(3) }, () => this.piece(0, random(2) === 0));
      this.offer(queue, empty);
      this.offer(queue, this.#subject.pieces(queue, random));
    } else {
      this.tangled = true;
      const areas = this.rings[queue]?.areas;
      const at = areas === undefined ? RINGS_AT : [areas.descriptor, areas.driver, areas.device][random(3)];
      if (kind === 7) this.arena.write32(at + 4 * random(64), random(2 ** 32));
      else this.offer(queue, [{ address: at, length: 1 + random(300), writable: random(2) === 0 }]);
    }
    this.kick(queue);
  }

  /** Brings the device up, from wherever it is; perhaps not as the standard has it. */
  bringUp(random: Random, careless: boolean): void {
    this.reset();
    const port = this.#port;
    this.act("driver", () => {
      port.setStatus(1);
      port.setStatus(ACKNOWLEDGE_DRIVER);
    });
    const ring = RING_FEATURES.slice(0, port.legacy ? 2 : 4).filter(() => random(2) === 0);
    const own = this.#subject.features.filter(() => random(2) === 0);
    const features = feature(...ring, ...own.filter((bit) => bit !== 1 && bit !== 11));
    const wanted = port.legacy ? features : features | feature(VIRTIO_F_VERSION_1);
    const skips = careless && random(6) === 0;
    this.act(`features 0x${wanted.toString(16)}`, () => {
      port.accept(wanted);
      if (!port.legacy && !skips) port.setStatus(ACKNOWLEDGE_DRIVER | FEATURES_OK);
    });
    this.#features = wanted;
    if (skips && !port.legacy) this.tangled = true; // nothing is agreed on
    const early = !careless || random(3) > 0;
    if (early || !port.legacy) for (const queue of QUEUES) this.#place(queue, random, careless);
    if (careless && random(3) === 0) this.traffic(random); // before DRIVER_OK
    if (careless && random(5) === 0) this.takeBack(random);
    if ((careless && random(6) === 0) || port.status() === 0) return; // its probe fails
    const done = (port.legacy ? ACKNOWLEDGE_DRIVER : ACKNOWLEDGE_DRIVER | FEATURES_OK) | DRIVER_OK;
    this.act("DRIVER_OK", () => port.setStatus(done));
    if (!early && port.legacy) for (const queue of QUEUES) this.#place(queue, random, careless);
  }

  /** Takes a queue back, and perhaps gives it again. */
  takeBack(random: Random): void {
    const queue = random(2);
    let taken = false;
    if (random(3) === 0) this.act("FAILED", () => this.#port.setStatus(this.#port.status() | FAILED));
    this.act(`take back ${queue}`, () => {
      taken = this.#port.takeBack(queue);
    });
    if (taken) this.rings[queue] = null;
    this.#look(); // some devices are reset as a whole
    if (random(2) === 0 && this.rings[queue] === null && this.#port.status() !== 0) this.#place(queue, random, false);
  }

  /** Writes 0 to the status. */
  reset(): void {
    this.act("reset", () => this.#port.setStatus(0));
    this.#look();
  }

  /** Accesses registers at random. */
  poke(random: Random): void {
    for (let n = random(6); n >= 0; n--) {
      const { touches, run } = this.#port.poke(random);
      const live = (this.#port.status() & DRIVER_OK) !== 0;
      if (touches === "queues" || (touches === "status" && !live)) this.tangled = true;
      this.act(`poke ${touches}`, run);
      this.#look();
    }
  }

  /** The device goes on elsewhere, as it was saved. */
  move(): void {
    let state = "";
    this.#stopped = true;
    this.act("save", () => {
      state = JSON.stringify(this.#port.save());
    });
    const status = this.#port.status();
    this.life++;
    this.#scheduler = new ManualScheduler();
    this.act("restore", () => {
      this.#port = this.#build();
      this.#port.restore(JSON.parse(state));
    });
    this.#stopped = false;
    if (this.#port.status() !== status) this.#fail(new Error(`status ${status} was restored as another`), "");
  }

  /** The function may use the bus no more, or again. */
  master(): void {
    const { mastering } = this.#port;
    this.#parting = mastering; // to the end of the access that takes it away
    this.act(`bus master ${!mastering}`, () => {
      this.#port.mastering = !mastering;
    });
    this.#parting = false;
  }

  outside(random: Random): void {
    this.#subject.outside(random);
  }

  acknowledge(): void {
    this.act("acknowledge", () => this.#port.acknowledge());
  }

  answer(on: boolean): void {
    this.#answers = on;
  }

  #build(): Port {
    const around: Surroundings = {
      arena: this.arena,
      scheduler: this.#scheduler,
      ringFeatures: feature(...RING_FEATURES, VIRTIO_F_VERSION_1),
      interrupt: () => this.#interrupted(),
      fault: (fault) => this.#faulted(fault),
    };
    return this.#plug(this.#subject.make(), around);
  }

  #interrupted(): void {
    if (!this.#answers || this.#answering || this.#stopped || this.depth === 0 || this.depth >= DEPTH_MAX) return;
    this.#answering = true;
    this.callback("interrupt", () => this.guest(this.random));
    this.#answering = false;
  }

  /** What a device throws inside ends as a fault: no error of ours may. */
  #faulted(fault: DeviceFault): void {
    this.log.push(`fault ${fault.code}: ${fault.message}`);
    const ours = fault.code === "device-error" || fault.code === "activation-failed";
    if (ours && fault.cause !== FOREIGN) this.#fail(fault.cause as Error, "threw inside:");
  }

  /** Looks whether the device has been reset. */
  #look(): void {
    if (this.#port.status() !== 0) return;
    this.life++;
    this.tangled = false;
    this.rings.fill(null);
    this.#subject.ended();
  }

  #place(queue: number, random: Random, careless: boolean): void {
    const size = this.#port.legacy ? QUEUE_SIZE : 2 ** (1 + random(4));
    const place = (queue + 2 * random(PLACES / 2)) * RING_BYTES + RINGS_AT;
    const areas: Areas = {
      size,
      descriptor: place,
      driver: place + 16 * size,
      device: place + 0x1000,
    };
    this.arena.fill(place, RING_BYTES);
    const features: RingFeatures = {
      packed: this.#has(VIRTIO_F_RING_PACKED),
      indirect: this.#has(VIRTIO_F_INDIRECT_DESC),
      eventIdx: this.#has(VIRTIO_F_EVENT_IDX),
      inOrder: this.inOrder,
    };
    const ring = features.packed
      ? new PackedRing(this.arena, areas, features)
      : new SplitRing(this.arena, areas, features);
    const before = this.rings[queue];
    if (before !== null) this.tangled = true; // where it is now, nobody knows
    this.rings[queue] = ring;
    if (careless && random(20) === 0) this.tangled = true;
    this.act(`place ${queue} of ${size}${features.packed ? ", packed" : ""}`, () => this.#port.place(queue, areas));
  }

  #table(): number {
    this.#tableAt = this.#tableAt + TABLE_BYTES < TABLES.end ? this.#tableAt + TABLE_BYTES : TABLES.start;
    return this.#tableAt;
  }
}

type Step = (world: World, random: Random) => void;

/** What there is to do, each as often as it is here. */
const STEPS: readonly Step[] = [
  ...Array.from({ length: 14 }, (): Step => (world, random) => world.traffic(random)),
  ...Array.from({ length: 10 }, (): Step => (world, random) => world.outside(random)),
  ...Array.from({ length: 4 }, (): Step => (world) => world.turn()),
  ...Array.from({ length: 4 }, (): Step => (world, random) => world.bringUp(random, random(2) === 0)),
  ...Array.from({ length: 4 }, (): Step => (world, random) => world.mischief(random)),
  ...Array.from({ length: 2 }, (): Step => (world, random) => world.takeBack(random)),
  ...Array.from({ length: 2 }, (): Step => (world) => world.acknowledge()),
  ...Array.from({ length: 2 }, (): Step => (world, random) => world.answer(random(2) === 0)),
  (world) => world.reset(),
  (world) => world.move(),
  (world) => world.master(),
  (world, random) => world.poke(random),
];

/** How many kinds of steps there are. */
export const STEP_KINDS: number = STEPS.length;
