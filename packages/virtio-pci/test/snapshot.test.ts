import { rounds } from "@virtio-ts/rounds";
import { FlexibleDevice, randomNumbers, tamperedState } from "@virtio-ts/virtio-device/testing";
import { describe, expect, it } from "vitest";
import type { VirtioPciOptions, VirtioPciState } from "../src/index.ts";
import { COMMON, ISR, PCI_CFG } from "./support/guest.ts";
import { type Setup, setup } from "./support/setup.ts";

const copy = <T>(state: T): T => JSON.parse(JSON.stringify(state));
const make = (options: Partial<VirtioPciOptions> = {}): Setup => setup(options, new FlexibleDevice());

/** A live function, in each of whose registers a driver has written something, one vector masked and pending. */
function live(options: Partial<VirtioPciOptions> = {}): Setup {
  const s = make(options);
  const { guest, device, fn } = s;
  guest.setMsix(true);
  guest.setVector(0, 0xfee0_0000, 40);
  guest.setVector(1, 0xfee0_1000, 41);
  guest.setVector(2, 0xfee0_2000, 42, true);
  guest.write(COMMON, 16, 2, 0);
  for (const queue of [0, 1]) {
    guest.select(queue);
    guest.write(COMMON, 26, 2, 1 + queue);
  }
  guest.goLive();
  guest.write(COMMON, 0, 4, 1);
  guest.write(COMMON, 8, 4, 7);
  fn.configWrite(0x3c, 1, 11);
  device.context?.configChanged();
  device.context?.queues[1]?.notifier.notify();
  guest.read(COMMON, 21, 1);
  s.slot.messages.length = 0;
  return s;
}

/** The code of the error with which a state is refused: nothing is changed then. */
function refusal(state: unknown, target: Setup): string {
  const seen = () => JSON.stringify([target.fn.save(), [...target.slot.places.values()], target.slot.level]);
  const before = seen();
  const sent = target.slot.messages.length;
  try {
    target.fn.restore(state);
  } catch (cause) {
    expect(cause).toMatchObject({ name: "RestoreError" });
    expect([seen(), target.slot.messages.length]).toEqual([before, sent]);
    return (cause as { code: string }).code;
  }
  return "restored";
}

describe("a snapshot of the function", () => {
  it("is plain data: the transport's own registers, configuration space, and the state machine's", () => {
    const { fn } = live();
    const state = copy(fn.save());
    expect(state).toMatchObject({
      version: 1,
      deviceFeatureSelect: 1,
      driverFeatureSelect: 7,
      generation: [1, 1],
      refused: false,
      isr: 2,
      configVector: 0,
      queueVectors: [1, 2],
      msix: { pending: [4, 0, 0, 0, 0, 0, 0, 0] },
      core: { version: 1, status: 15, active: true },
    });
    expect([state.config.length, state.msix?.table.length]).toEqual([256, 48]);
    expect([state.config[0], state.config[1], state.config[0x3c]]).toEqual([0xf4, 0x1a, 11]);
  });

  it.each([
    ["a modern function", {}],
    ["one with I/O ports", { bar: "io" }],
    ["one of PCI Express", { express: true }],
    ["a transitional one", { mode: "transitional" }],
  ] as const)("is taken back whole: %s", (_, options) => {
    const source = live(options);
    const state = copy(source.fn.save());
    const t = make(options);
    t.fn.restore(state);
    expect(copy(t.fn.save())).toEqual(state);
    const places = ({ slot }: Setup) => [...slot.places].map(([{ index }, address]) => [index, address]).sort();
    expect(places(t)).toEqual(places(source));
    t.guest.kick(1);
    expect([t.device.events.at(-1), t.guest.status]).toEqual(["notify 1", 15]);
    t.device.context?.queues[0]?.notifier.notify();
    expect(t.slot.messages).toEqual([[0xfee0_1000, 41]]);
    t.guest.setVector(2, 0xfee0_2000, 43);
    expect(t.slot.messages.at(-1)).toEqual([0xfee0_2000, 43]);
  });

  it("raises the pin again that was up", () => {
    const s = make({ interrupt: "intx" });
    s.guest.goLive();
    s.device.context?.queues[0]?.notifier.notify();
    const t = make({ interrupt: "intx" });
    t.fn.restore(copy(s.fn.save()));
    expect([t.slot.level, t.fn.configRead(6, 2) & 8]).toEqual([true, 8]);
    expect([t.guest.read(ISR, 0, 1), t.slot.level]).toEqual([1, false]);
  });

  it("of a function that slept, or was no bus master, rests on", () => {
    for (const sleep of [
      ({ fn }: Setup) => fn.configWrite(4, 2, 3),
      ({ fn }: Setup) => {
        for (let at = fn.configRead(0x34, 1); at !== 0; at = fn.configRead(at + 1, 1)) {
          if (fn.configRead(at, 1) === 1) fn.configWrite(at + 4, 2, 3);
        }
      },
    ]) {
      const s = live({ express: true });
      sleep(s);
      const t = make({ express: true });
      t.fn.restore(copy(s.fn.save()));
      t.machine.scheduler.run();
      expect([t.fn.core.status, t.device.events, t.slot.messages]).toEqual([15, ["activate"], []]);
      t.fn.space.restore(live({ express: true }).fn.space.save());
      expect(t.device.events.at(-1)).toBe("start 1");
    }
  });

  it("presents the same generation, and the next one after a change", () => {
    const t = make();
    t.fn.restore(copy(live().fn.save()));
    expect(t.guest.read(COMMON, 21, 1)).toBe(1);
    t.device.context?.configChanged();
    expect(t.guest.read(COMMON, 21, 1)).toBe(2);
  });

  it("leaves the window where it was aimed, and reads nothing through it", () => {
    const s = make({ interrupt: "intx" });
    s.guest.goLive();
    s.device.context?.configChanged();
    s.device.context?.queues[1]?.notifier.notify();
    const { at } = s.guest.structure(PCI_CFG);
    const isr = s.guest.structure(ISR);
    s.fn.configWrite(at + 4, 1, isr.bar);
    s.fn.configWrite(at + 8, 4, isr.offset);
    s.fn.configWrite(at + 12, 4, 1);
    const t = make({ interrupt: "intx" });
    t.fn.restore(copy(s.fn.save()));
    expect(t.slot.level).toBe(true);
    expect([t.fn.configRead(at + 16, 1), t.slot.level]).toEqual([3, false]);
  });
});

describe("a snapshot is refused, and nothing changed,", () => {
  const good: VirtioPciState = copy(live().fn.save());
  const { msix } = good;
  const config = (at: number, value: number) => ({ ...good, config: good.config.with(at, value) });

  it.each([
    ["nothing", null, "shape"],
    ["another version", { ...good, version: 2 }, "version"],
    ["too short a configuration space", { ...good, config: good.config.slice(1) }, "shape"],
    ["bytes that are none", config(0x3c, 256), "shape"],
    ["another vendor", config(0, 0xf5), "mismatch"],
    ["another device", config(2, 0x42), "mismatch"],
    ["a BAR of another size", config(0x19, 1), "mismatch"],
    ["a capability list of its own", config(0x41, 0), "mismatch"],
    ["a selector of 33 bits", { ...good, deviceFeatureSelect: 2 ** 32 }, "shape"],
    ["no selector", { ...good, driverFeatureSelect: undefined }, "shape"],
    ["a generation of 9 bits", { ...good, generation: [256, 0] }, "shape"],
    ["a refusal that is no flag", { ...good, refused: 0 }, "shape"],
    ["a cause of interrupts nobody knows", { ...good, isr: 4 }, "shape"],
    ["a vector that is not there", { ...good, configVector: 3 }, "state"],
    ["a queue's vector that is not there", { ...good, queueVectors: [0, 3] }, "state"],
    ["a vector too many", { ...good, queueVectors: [0, 1, 2] }, "shape"],
    ["no MSI-X", { ...good, msix: null }, "mismatch"],
    ["a short table", { ...good, msix: { ...msix, table: msix?.table.slice(16) } }, "shape"],
    ["reserved bits in the table", { ...good, msix: { ...msix, table: msix?.table.with(13, 1) } }, "state"],
    ["a vector pending that is not there", { ...good, msix: { ...msix, pending: [8, 0, 0, 0, 0, 0, 0, 0] } }, "state"],
    ["one that is far away", { ...good, msix: { ...msix, pending: [0, 0, 0, 0, 0, 0, 0, 1] } }, "state"],
    ["no state machine", { ...good, core: null }, "shape"],
    ["a flaw of the state machine's own", { ...good, core: { ...(good.core as object), status: 8 } }, "state"],
  ])("with a flaw in it: %s", (_, state, code) => {
    expect(refusal(state, make())).toBe(code);
  });

  it("by a function that its driver uses", () => {
    const s = make();
    s.guest.status = 1;
    expect(refusal(good, s)).toBe("in-use");
    const t = live();
    expect(refusal(good, t)).toBe("in-use");
    t.guest.kick(0);
    t.device.context?.queues[0]?.notifier.notify();
    expect([t.device.events.at(-1), t.slot.messages]).toEqual(["notify 0", [[0xfee0_1000, 41]]]);
  });

  it("that the device itself refuses", () => {
    const t = make();
    (t.device as FlexibleDevice).activationError = new Error("not today");
    expect(refusal(good, t)).toBe("state");
  });

  it("leaves the function without MSI-X, where its driver has not enabled it: it goes on to interrupt by its pin", () => {
    const t = make();
    expect(refusal({ ...good, core: { ...(good.core as object), earlyKicks: [9] } }, t)).toBe("state");
    t.guest.goLive();
    t.device.context?.queues[1]?.notifier.notify();
    expect([t.slot.level, t.guest.read(ISR, 0, 1), t.slot.messages]).toEqual([true, 1, []]);
    // And the other way round: a function whose driver has enabled it stays so.
    const u = make();
    u.guest.setMsix(true);
    u.guest.setVector(1, 0xfee0_1000, 41);
    const pin = make();
    pin.guest.goLive();
    const core = { ...(copy(pin.fn.save()).core as object), earlyKicks: [9] };
    expect(refusal({ ...copy(pin.fn.save()), core }, u)).toBe("state");
    u.guest.goLive();
    u.guest.select(1);
    u.guest.write(COMMON, 26, 2, 1);
    u.device.context?.queues[1]?.notifier.notify();
    expect([u.slot.level, u.slot.messages]).toEqual([false, [[0xfee0_1000, 41]]]);
  });

  it.each(["modern", "transitional", "legacy"] as const)(
    "that has refused a legacy driver, by a %s function, which refuses none",
    (mode) => {
      const t = make({ mode });
      expect(refusal({ ...copy(t.fn.save()), refused: true }, t)).toBe("mismatch");
    },
  );

  it("by a function without MSI-X, and by one of another kind", () => {
    expect(refusal(good, make({ interrupt: "intx" }))).toBe("mismatch");
    expect(refusal(good, make({ mode: "transitional" }))).toBe("mismatch");
    expect(refusal(good, make({ express: true }))).toBe("shape");
  });

  it.each([
    ["a modern function", {}, 1],
    ["a transitional one", { mode: "transitional" }, 2],
    ["one of PCI Express", { express: true }, 3],
  ] as const)("or taken whole, whatever is changed in it: %s", (_, options, seed) => {
    const random = randomNumbers(seed);
    const state = copy(live(options).fn.save());
    const outcomes = new Map<string, number>();
    const t = make(options);
    const times = rounds(800);
    for (let i = 0; i < times; i++) {
      const outcome = refusal(tamperedState(state, random), t);
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
      t.machine.scheduler.run();
      t.fn.reset();
      expect([t.fn.core.status, t.slot.places.size, t.slot.level]).toEqual([0, 0, false]);
    }
    for (const outcome of ["restored", "shape", "state", "mismatch"]) {
      expect([outcome, (outcomes.get(outcome) ?? 0) > times / 150]).toEqual([outcome, true]);
    }
  });
});
