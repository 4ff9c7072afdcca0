import { FlexibleDevice } from "@virtio-ts/virtio-device/testing";
import { describe, expect, it } from "vitest";
import type { VirtioPciOptions } from "../src/index.ts";
import { COMMON, ISR, PCI_CFG } from "./support/guest.ts";
import { type Setup, setup } from "./support/setup.ts";

/** Where a driver finds the capability with this id. */
function capability({ fn }: Setup, id: number): number {
  for (let at = fn.configRead(0x34, 1); at !== 0; at = fn.configRead(at + 1, 1)) {
    if (fn.configRead(at, 1) === id) return at;
  }
  throw new Error(`no capability ${id}`);
}

function live(options: Partial<VirtioPciOptions> = {}): Setup {
  const s = setup({ express: true, ...options }, new FlexibleDevice({ configSize: 8 }));
  s.guest.goLive();
  s.device.events.length = 0;
  return s;
}

function setPower(s: Setup, state: number): void {
  s.fn.configWrite(capability(s, 0x01) + 4, 2, state);
}

describe("a PCI Express function", () => {
  it("works as any other", () => {
    const s = live();
    s.guest.kick(1);
    s.device.context?.queues[1]?.notifier.notify();
    expect([s.device.events, s.slot.level, s.guest.read(ISR, 0, 1)]).toEqual([["notify 1"], true, 1]);
  });

  it("has 4 KiB of configuration space; others have 256 bytes", () => {
    expect([live().fn.configRead(0x100, 4), setup().fn.configRead(0x100, 4)]).toEqual([0, 0xffff_ffff]);
  });

  it("has no I/O ports", () => {
    for (const options of [{ bar: "io" }, { mode: "transitional" }, { mode: "legacy" }] as const) {
      const make = () => setup({ express: true, ...options });
      expect(make).toThrow(expect.objectContaining({ name: "VirtioPciError", code: "express" }));
    }
  });

  it("a function level reset resets device and registers", () => {
    const s = live();
    s.guest.setMsix(true);
    s.guest.setVector(0, 0xfee0_0000, 1);
    const table = s.fn.bars.find(({ index }) => index === s.guest.table.bar);
    const control = capability(s, 0x10) + 8;
    s.fn.configWrite(control, 2, 0x8000);
    expect(s.device.events).toEqual(["reset"]);
    expect([s.slot.places.size, s.fn.configRead(4, 2), s.fn.configRead(s.guest.msix + 2, 2)]).toEqual([0, 0, 2]);
    expect([table?.block.read(0, 4), s.fn.configRead(0x18, 4), s.fn.core.status]).toEqual([0, 4, 0]);
  });
});

describe("a function that is asleep", () => {
  it.each([1, 2, 3])("in D%i decodes nothing, rests, and interrupts nobody", (state) => {
    const s = live();
    s.device.context?.configChanged();
    expect(s.slot.level).toBe(true);
    setPower(s, state);
    expect([s.slot.places.size, s.slot.level, s.device.events]).toEqual([0, false, ["stop 0", "stop 1"]]);
    expect(s.guest.status).toBe(0xff); // nobody is there
    s.device.context?.configChanged();
    expect(s.slot.level).toBe(false);
  });

  it("awake again goes on where it was, and makes up for what it kept to itself", () => {
    const s = live();
    s.guest.setMsix(true);
    s.guest.setVector(0, 0xfee0_0000, 77);
    s.guest.write(COMMON, 16, 2, 0);
    setPower(s, 3);
    s.device.context?.configChanged();
    expect(s.slot.messages).toEqual([]);
    setPower(s, 0);
    expect(s.slot.messages).toEqual([[0xfee0_0000, 77]]);
    expect([s.guest.status, s.device.events]).toEqual([15, ["stop 0", "stop 1", "start 0", "start 1"]]);
    s.guest.kick(0);
    expect(s.device.events.at(-1)).toBe("notify 0");
  });

  it("can't be reached by the window in configuration space either", () => {
    const s = live();
    const { at } = s.guest.structure(PCI_CFG);
    const { bar, offset } = s.guest.structure(COMMON);
    s.fn.configWrite(at + 4, 1, bar);
    s.fn.configWrite(at + 8, 4, offset + 20);
    s.fn.configWrite(at + 12, 4, 1);
    expect(s.fn.configRead(at + 16, 1)).toBe(15);
    setPower(s, 3);
    s.fn.configWrite(at + 16, 1, 0);
    expect([s.fn.core.status, s.fn.configRead(at + 16, 1)]).toEqual([15, 0]);
    setPower(s, 0);
    expect(s.fn.configRead(at + 16, 1)).toBe(15);
  });
});
