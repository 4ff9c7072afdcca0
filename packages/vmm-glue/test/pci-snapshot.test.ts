/**
 * A network card on the PCI bus is saved while frames travel both ways, and goes on in another machine: frames are
 * numbered, so that what is lost, doubled or out of order is seen.
 */
import { rounds } from "@virtio-ts/rounds";
import { ManualScheduler, randomNumbers, tamperedState } from "@virtio-ts/virtio-device/testing";
import { GuestMemory } from "@virtio-ts/vm-memory";
import { describe, expect, it } from "vitest";
import { Machine } from "../src/index.ts";
import { frame, type Interface, Nic, type NicOptions } from "./support/nic.ts";

const MEMORY = 0x60_0000;
const RING = 16;
const STEPS = 40;
const MAC = Uint8Array.of(2, 0, 0, 0, 0, 1);

const copy = <T>(state: T): T => JSON.parse(JSON.stringify(state));

function numbered(number: number): Uint8Array {
  const bytes = frame(0);
  new DataView(bytes.buffer).setUint32(20, number);
  return bytes;
}

const numberOf = (bytes: Uint8Array): number => new DataView(bytes.buffer, bytes.byteOffset).getUint32(20);

/** A machine over these bytes, whose deferred work waits to be told. */
function machineOf(bytes: Uint8Array): { machine: Machine; scheduler: ManualScheduler; bytes: Uint8Array } {
  const scheduler = new ManualScheduler();
  return { machine: new Machine({ memory: GuestMemory.of(bytes), scheduler }), scheduler, bytes };
}

/** A guest with its card, and traffic that goes on over all machines they come to be in. */
class Traffic {
  place = machineOf(new Uint8Array(MEMORY));
  readonly nic: Nic;
  readonly received: number[] = [];
  /** Frames the guest has sent, and frames that were sent to it. */
  out = 0;
  in = 0;
  #onTheWay = 0;
  #buffers = 0;

  constructor(face: Interface, options: NicOptions) {
    this.nic = new Nic(this.place.machine, "nic", face, { ringSize: RING, mac: MAC, ...options });
    this.nic.up();
    this.work(0, 0);
  }

  /** The guest sends up to `out` frames, `in` come for it, and it takes what it got. */
  work(out: number, inwards: number): void {
    const { nic } = this;
    this.#onTheWay -= nic.tx.takeUsed().length;
    for (let i = 0; i < out && this.#onTheWay < RING / 2; i++, this.#onTheWay++) nic.send(numbered(this.out++));
    const frames = Array.from({ length: inwards }, (_, i) => numbered(this.in + i));
    if (inwards > 0) this.in += nic.wire.sendAll(frames);
    const got = nic.received();
    this.received.push(...got.map(numberOf));
    this.#buffers -= got.length;
    const wanted = RING - this.#buffers;
    this.#buffers += wanted;
    if (wanted > 0) nic.postBuffers(wanted, 128);
  }

  /** Goes on in another machine. The one that is left behind works on in its own memory, which nobody sees. */
  move(): void {
    const state = copy(this.nic.attachment.transport.save());
    const { machine, scheduler, bytes } = this.place;
    this.place = machineOf(bytes.slice());
    this.nic.moveTo(this.place.machine, state);
    scheduler.run();
    machine.devices.get("nic")?.device.queueNotify(1);
  }

  /** All that is still on its way arrives. */
  finish(): void {
    this.nic.wire.drain();
    for (let i = 0; i < 20; i++) {
      this.place.scheduler.run();
      this.work(0, 0);
    }
  }
}

const KINDS: readonly (readonly [string, Interface, NicOptions])[] = [
  ["modern, by the pin", "modern", {}],
  ["modern, by messages", "modern", { interrupt: "msix" }],
  ["legacy", "legacy", {}],
];

/** Has the card interrupt by messages 40 (configuration), 41 and 42 (queues). */
function useMessages({ nic }: Traffic): void {
  const [msix] = nic.config.capabilities(0x11);
  const table = nic.config.bar(1);
  for (let vector = 0; vector < 3; vector++) {
    for (const [at, value] of [
      [0, 0xfee0_0000],
      [4, 0],
      [8, 40 + vector],
      [12, 0],
    ] as const) {
      table.write(16 * vector + at, 4, value);
    }
  }
  nic.config.write(msix + 2, 2, 0x8000);
  const { common } = nic.registers as unknown as { common: ReturnType<typeof nic.config.bar> };
  for (const queue of [0, 1]) {
    common.write(22, 2, queue);
    common.write(26, 2, 1 + queue);
  }
}

describe.each(KINDS)("a card saved in the middle of traffic, %s,", (_, face, options) => {
  function run(seed: number, moves: (step: number) => boolean): Traffic {
    const random = randomNumbers(seed);
    const traffic = new Traffic(face, options);
    if (options.interrupt === "msix") useMessages(traffic);
    for (let step = 0; step < STEPS; step++) {
      traffic.nic.wire.full = random(3) === 0;
      traffic.work(random(6), random(6));
      if (random(3) === 0) traffic.nic.wire.drain();
      if (random(2) === 0) traffic.place.scheduler.run();
      if (moves(step)) traffic.move();
    }
    traffic.finish();
    return traffic;
  }

  function expectAll({ nic, out, received, in: inwards }: Traffic): void {
    expect(nic.wire.frames.map(numberOf)).toEqual(Array.from({ length: out }, (_, i) => i));
    expect(received).toEqual(Array.from({ length: inwards }, (_, i) => i));
    expect([out > 40, inwards > 40, nic.faults]).toEqual([true, true, []]);
  }

  it("loses no frame, doubles none, and keeps their order, wherever that is", () => {
    for (let at = 0; at < STEPS; at++) expectAll(run(at + 1, (step) => step === at));
  });

  it("may move as often as one likes, and still interrupts", () => {
    const traffic = run(77, () => true);
    expectAll(traffic);
    const { machine } = traffic.place;
    traffic.nic.registers.isr();
    const before = machine.messageLog.total;
    traffic.nic.wire.send(numbered(0));
    const byMessage = options.interrupt === "msix";
    expect([machine.messageLog.total - before, traffic.nic.registers.isr()]).toEqual(byMessage ? [1, 0] : [0, 1]);
  });
});

describe("a card's place", () => {
  it("is kept: BARs are where the guest had put them, the line is up that was up", () => {
    const traffic = new Traffic("modern", {});
    const { nic } = traffic;
    nic.config.write(0x18, 4, 0xe800_0000);
    nic.config.write(0x3c, 1, 0x55);
    nic.wire.send(numbered(0));
    traffic.move();
    const moved = nic.attachment.transport.bars.find(({ index }) => index === 2)!;
    expect(nic.attachment.slot.addressOf(moved)).toBe(0xe800_0000);
    expect([nic.config.read(0x3c, 1), nic.attachment.slot.interrupt?.raised]).toEqual([0x55, true]);
    expect([nic.registers.isr(), nic.attachment.slot.interrupt?.raised]).toEqual([1, false]);
  });
});

describe("a card's saved state that somebody tampered with", () => {
  it("is refused with nothing changed, or taken whole", () => {
    const each = rounds(400);
    const random = randomNumbers(4711);
    const outcomes = new Map<string, number>();
    for (const [name, face, options] of KINDS) {
      const traffic = new Traffic(face, options);
      if (options.interrupt === "msix") useMessages(traffic);
      traffic.nic.wire.full = true;
      traffic.work(3, 3);
      const state = copy(traffic.nic.attachment.transport.save());
      const target = new Nic(machineOf(traffic.place.bytes.slice()).machine, "nic", face, {
        ringSize: RING,
        mac: MAC,
        ...options,
      });
      const { transport, slot } = target.attachment;
      const seen = () => JSON.stringify([transport.save(), transport.bars.map((bar) => slot.addressOf(bar))]);
      for (let i = 0; i < each; i++) {
        transport.reset();
        const before = seen();
        let outcome = "taken";
        try {
          transport.restore(tamperedState(state, random));
        } catch (cause) {
          expect(cause).toMatchObject({ name: "RestoreError" });
          outcome = (cause as { code: string }).code;
          expect(seen(), `${name}, ${i}`).toBe(before);
        }
        outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
        (target.machine.scheduler as ManualScheduler).run();
        target.wire.sendAll([numbered(1)]);
        // Only a card that lives has written anything: memory is large, and copied for no other.
        if (outcome === "taken") target.machine.memory.write(0, traffic.place.bytes);
      }
    }
    for (const outcome of ["taken", "shape", "mismatch", "state"]) {
      expect([outcome, (outcomes.get(outcome) ?? 0) > each / 50]).toEqual([outcome, true]);
    }
  });
});
