import { rounds } from "@virtio-ts/rounds";
import { FlexibleDevice, RecordingDevice, randomNumbers, tamperedState } from "@virtio-ts/virtio-device/testing";
import { describe, expect, it } from "vitest";
import type { VirtioMmioOptions } from "../src/index.ts";
import { NicMachine, World } from "./support/nic.ts";
import { type Setup, setup } from "./support/setup.ts";

const MSI: Partial<VirtioMmioOptions> = { dragonball: { msi: { send: () => {} } } };
const MAPS = ["version 2", "legacy version 1", "Dragonball's"] as const;

const copy = <T>(state: T): T => JSON.parse(JSON.stringify(state));

/** A live device, whose every register of the transport's own has something in it. */
function live(options: Partial<VirtioMmioOptions> = {}): Setup {
  const s = setup(options, new FlexibleDevice());
  const { guest, device } = s;
  if (options.version === 1) {
    guest.goLiveLegacy();
  } else {
    guest.write(0xc0, 0x8000, 2);
    guest.write(0xc4, 0xfee0_0000);
    guest.write(0xc8, 1);
    guest.write(0xcc, 40);
    guest.write(0xc2, 0x1001, 2);
    guest.write(0xc2, 0x2001, 2);
    guest.goLive();
    guest.write(0xac, 5);
  }
  guest.write(0x14, 1);
  guest.write(0x24, 3);
  device.context?.queues[0]?.notifier.notify();
  return s;
}

/** The code of the error with which a state is refused: nothing is changed then. */
function refusal(state: unknown, target: Setup): string {
  const before = JSON.stringify(target.mmio.save());
  try {
    target.mmio.restore(state);
  } catch (cause) {
    expect(cause).toMatchObject({ name: "RestoreError" });
    expect(JSON.stringify(target.mmio.save())).toBe(before);
    expect(target.line.level).toBe(false);
    return (cause as { code: string }).code;
  }
  return "restored";
}

describe("a snapshot of the transport", () => {
  it("is plain data: its own registers, and the state machine's", () => {
    const { mmio } = live();
    const core = expect.objectContaining({ version: 1, status: 15, legacy: false, active: true });
    expect(copy(mmio.save())).toEqual({
      version: 1,
      registers: 2,
      deviceFeaturesSel: 1,
      driverFeaturesSel: 3,
      shmSel: 5,
      guestPageSize: 4096,
      queueAligns: [4096, 4096],
      interruptStatus: 1,
      msi: null,
      core,
    });
  });

  it("has Dragonball's messages in it, one of them pending", () => {
    expect(copy(live(MSI).mmio.save())).toMatchObject({
      interruptStatus: 0,
      msi: {
        enabled: true,
        message: [0xfee0_0000, 1, 40],
        vectors: [
          [0, 0, 0, 0],
          [0xfee0_0000, 1, 40, 3],
          [0, 0, 0, 0],
        ],
      },
    });
  });

  it.each([
    ["version 2", {}],
    ["legacy version 1", { version: 1 }],
    ["Dragonball's map", MSI],
  ] as const)("is taken back whole: %s", (_, options) => {
    const state = copy(live(options).mmio.save());
    const t = setup(options, new FlexibleDevice());
    t.mmio.restore(state);
    expect(copy(t.mmio.save())).toEqual(state);
    expect(t.line.level).toBe(state.interruptStatus !== 0);
    t.guest.kick(1);
    expect(t.device.events.at(-1)).toBe("notify 1");
  });

  it("sends the pending message when the vector is unmasked, elsewhere", () => {
    const sent: number[][] = [];
    const msi = { send: (address: number, data: number) => void sent.push([address, data]) };
    const t = setup({ dragonball: { msi } }, new FlexibleDevice());
    t.mmio.restore(copy(live(MSI).mmio.save()));
    t.guest.write(0xc2, 0x3001, 2);
    expect(sent).toEqual([[2 ** 32 + 0xfee0_0000, 40]]);
  });

  it("of legacy set-up goes on with its page size and alignment", () => {
    const s = setup({ version: 1 });
    s.guest.status = 3;
    s.guest.write(0x28, 1024);
    s.guest.select(1);
    s.guest.write(0x3c, 64);
    const t = setup({ version: 1 });
    t.mmio.restore(copy(s.mmio.save()));
    t.guest.write(0x40, 16);
    expect([...t.mmio.core.queues[1].halves]).toEqual([0x4000, 0, 0x4100, 0, 0x4140, 0]);
  });

  it("of a device whose interrupts were all handled leaves the line down", () => {
    const s = live();
    s.guest.write(0x64, 1);
    const t = setup({}, new FlexibleDevice());
    t.mmio.restore(copy(s.mmio.save()));
    expect([t.guest.status, t.line.edges]).toEqual([15, 0]);
  });
});

describe.each(MAPS)("a snapshot in the middle of traffic, registers of %s", (map) => {
  const STEPS = 60;

  /** Runs the guest and the world for a while, on one machine after the other. */
  function run(random: (below: number) => number, migrate: (step: number) => boolean): World {
    const world = new World(map === "legacy version 1" ? 10 : 12);
    let machine = new NicMachine(world, map);
    world.start(machine);
    for (let step = 0; step < STEPS; step++) {
      world.transmit(machine, random(8));
      machine.worldsTurn(random(8), random(6));
      if (random(2) === 0) machine.scheduler.run();
      if (migrate(step)) {
        const state = copy(machine.mmio.save());
        machine = new NicMachine(world, map);
        machine.mmio.restore(state);
      }
      world.receive(machine);
    }
    for (let i = 0; i < 20; i++) {
      machine.worldsTurn(1000, 0);
      machine.scheduler.run();
      world.receive(machine);
    }
    const byMessage = map === "Dragonball's";
    expect([machine.line.level, new Set(world.messages)]).toEqual([!byMessage, new Set(byMessage ? [41, 42] : [])]);
    return world;
  }

  it("loses no frame, doubles none, and keeps their order, wherever it is taken", () => {
    for (let at = 0; at < STEPS; at++) {
      const random = randomNumbers(at + 1);
      const world = run(random, (step) => step === at);
      expect(world.sent).toEqual(Array.from({ length: world.queued }, (_, i) => i));
      expect(world.received).toEqual(Array.from({ length: world.offered }, (_, i) => i));
      expect([world.queued > 60, world.offered > 60]).toEqual([true, true]);
    }
  });

  it("may be taken as often as one likes", () => {
    const world = run(randomNumbers(99), () => true);
    expect(world.sent).toEqual(Array.from({ length: world.queued }, (_, i) => i));
    expect(world.received).toEqual(Array.from({ length: world.offered }, (_, i) => i));
  });
});

describe("a snapshot is refused, and nothing changed,", () => {
  const good = copy(live().mmio.save());
  const withMsi = copy(live(MSI).mmio.save());
  const target = (): Setup => setup({}, new FlexibleDevice());
  const vectors = (change: (vectors: number[][]) => unknown): unknown => {
    const list = copy(withMsi.msi?.vectors ?? []).map((each) => [...each]);
    return { ...withMsi, msi: { ...withMsi.msi, vectors: change(list) } };
  };

  it.each([
    ["version", null, "shape"],
    ["version", { ...good, version: 2 }, "version"],
    ["registers", { ...good, registers: 1 }, "mismatch"],
    ["a selector that is no number", { ...good, shmSel: "1" }, "shape"],
    ["a selector of 33 bits", { ...good, deviceFeaturesSel: 2 ** 32 }, "shape"],
    ["no selector", { ...good, driverFeaturesSel: undefined }, "shape"],
    ["a page size of 0", { ...good, guestPageSize: 0 }, "state"],
    ["a page size that is no power of 2", { ...good, guestPageSize: 4095 }, "state"],
    ["an alignment that is no power of 2", { ...good, queueAligns: [4096, 3] }, "state"],
    ["an alignment too few", { ...good, queueAligns: [4096] }, "shape"],
    ["an interrupt nobody knows", { ...good, interruptStatus: 4 }, "state"],
    ["messages that are not here", { ...good, msi: withMsi.msi }, "mismatch"],
    ["no state machine", { ...good, core: null }, "shape"],
    ["a state machine's own flaw", { ...good, core: { ...good.core, status: 8 } }, "state"],
    ["a legacy driver on version 2", { ...good, core: { ...good.core, legacy: true, status: 7 } }, "state"],
    ["an interrupt of a device in reset", { ...copy(target().mmio.save()), interruptStatus: 1 }, "state"],
  ])("with a flaw in it: %s", (_, state, code) => {
    expect(refusal(state, target())).toBe(code);
  });

  it.each([
    ["none", { ...withMsi, msi: null }, "mismatch"],
    ["no record", { ...withMsi, msi: 5 }, "shape"],
    ["enabled is no flag", { ...withMsi, msi: { ...withMsi.msi, enabled: 1 } }, "shape"],
    ["a short message", { ...withMsi, msi: { ...withMsi.msi, message: [1, 2] } }, "shape"],
    ["a vector too many", vectors((list) => [...list, [0, 0, 0, 0]]), "mismatch"],
    ["no vectors", vectors(() => null), "shape"],
    ["a vector that is none", vectors((list) => [[0, 0, 0], ...list.slice(1)]), "shape"],
    ["unknown flags", vectors((list) => [[0, 0, 0, 4], ...list.slice(1)]), "state"],
    ["pending without a mask", vectors((list) => [[0, 0, 0, 2], ...list.slice(1)]), "state"],
  ])("with a flaw in Dragonball's messages: %s", (_, state, code) => {
    expect(refusal(state, setup(MSI, new FlexibleDevice()))).toBe(code);
  });

  it("by a device that its driver uses", () => {
    const s = target();
    s.guest.status = 1;
    expect(refusal(good, s)).toBe("in-use");
  });

  it("that says a modern driver went live behind version 1", () => {
    const state = copy(live({ version: 1 }).mmio.save());
    const core = { ...state.core, legacy: false, status: 15 };
    expect(refusal({ ...state, core }, setup({ version: 1 }, new FlexibleDevice()))).toBe("state");
  });

  it("that the device itself refuses, with its messages as they were", () => {
    const t = setup(MSI, new FlexibleDevice());
    t.guest.write(0xc0, 0x8000, 2);
    t.guest.write(0xcc, 7);
    t.device.activationError = new Error("not today");
    expect(refusal(withMsi, t)).toBe("state");
    expect(t.mmio.save().msi).toMatchObject({ enabled: true, message: [0, 0, 7] });
  });

  it.each([
    ["version 2", {}, 1],
    ["legacy version 1", { version: 1 }, 2],
    ["Dragonball's map", MSI, 3],
  ] as const)("or taken whole, whatever is changed in it: %s", (_, options, seed) => {
    const random = randomNumbers(seed);
    const state = copy(live(options).mmio.save());
    const outcomes = new Map<string, number>();
    const times = rounds(800);
    for (let i = 0; i < times; i++) {
      const t = setup(options, new FlexibleDevice());
      const outcome = refusal(tamperedState(state, random), t);
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
      t.guest.kick(0);
      t.scheduler.run();
      t.guest.status = 0;
      if (options === MSI || !("version" in options)) t.guest.goLive();
      else t.guest.goLiveLegacy();
      expect([t.guest.status, t.device.events.at(-1)]).toEqual(["version" in options ? 7 : 15, "start 1"]);
    }
    for (const outcome of ["restored", "shape", "state", "mismatch"]) {
      expect([outcome, (outcomes.get(outcome) ?? 0) > times / 150]).toEqual([outcome, true]);
    }
  });
});

it("a device without state of its own is saved as such", () => {
  expect(setup({}, new RecordingDevice()).mmio.save().core.device).toBeNull();
});
