import { describe, expect, it } from "vitest";
import {
  addExpress,
  addPowerManagement,
  type PciBar,
  PciConfigError,
  PciConfigSpace,
  type PciHost,
} from "../src/index.ts";

const IDENTITY = { vendorId: 1, deviceId: 2, classCode: 3 };
const MEMORY: PciBar = {
  index: 0,
  kind: "memory32",
  size: 0x1000,
  prefetchable: false,
  block: { size: 0x1000, read: () => 0, write() {} },
};

interface Function {
  readonly space: PciConfigSpace;
  readonly places: (number | null)[];
  readonly activities: number[];
  resets: number;
}

/** A function with power management at 0x40 and PCI Express at 0x48, decoding and bus master. */
function express(): Function {
  const activities: number[] = [];
  const places: (number | null)[] = [];
  const space = new PciConfigSpace({
    identity: IDENTITY,
    extended: true,
    onActivity: () => activities.push(space.activity),
  });
  const fn: Function = { space, places, activities, resets: 0 };
  space.addBar(MEMORY);
  addPowerManagement(space);
  addExpress(space, () => {
    fn.resets++;
    space.reset();
  });
  const host: PciHost = {
    intx: { raise() {}, lower() {} },
    msi: null,
    barMoved: (_, address) => places.push(address),
  };
  space.plug(host);
  space.write(0x10, 4, 0xe000_0000);
  space.write(4, 2, 6);
  return fn;
}

describe("power management (PCI PM 1.2, 3.2)", () => {
  it("is a capability of version 3 whose state is D0 at first, and kept over D3hot", () => {
    const { space } = express();
    expect(space.read(0x40, 4)).toBe(0x0603_4801);
    expect(space.read(0x44, 4)).toBe(0x0000_0008);
  });

  it.each([1, 2, 3])("in D%i nothing is decoded and nothing started, and the pin is down", (state) => {
    const { space, places, activities } = express();
    space.write(0x44, 2, state);
    expect([places, activities.at(-1), space.read(0x44, 2)]).toEqual([[0xe000_0000, null], 0x0400, 8 | state]);
    expect(space.asleep).toBe(true);
  });

  it("one sleep is as deep as another: the function hears of the first", () => {
    const { space, activities } = express();
    expect(space.asleep).toBe(false);
    for (const state of [1, 2, 2, 3]) space.write(0x44, 2, state);
    expect(activities).toEqual([6, 0x0400]);
  });

  it("back in D0 everything is as it was before", () => {
    const { space, places, activities } = express();
    space.write(0x44, 2, 3);
    space.write(0x10, 4, 0xe100_0000);
    space.write(0x44, 2, 0);
    expect([places, activities.at(-1), space.read(4, 2)]).toEqual([[0xe000_0000, null, 0xe100_0000], 6, 6]);
  });

  it("only the state can be written", () => {
    const { space } = express();
    for (const at of [0x40, 0x44]) space.write(at, 4, 0xffff_ffff);
    expect([space.read(0x40, 4), space.read(0x44, 4)]).toEqual([0x0603_4801, 0x0000_000b]);
  });

  it("a bus reset wakes the function up", () => {
    const { space, activities } = express();
    space.write(0x44, 2, 3);
    space.reset();
    expect([space.read(0x44, 2), space.activity, activities.at(-1)]).toEqual([8, 0, 0]);
  });

  it("who was saved asleep is asleep again", () => {
    const { space } = express();
    space.write(0x44, 2, 3);
    const next = express();
    next.space.restore(space.save());
    expect([next.places, next.space.activity]).toEqual([[0xe000_0000, null], 0x0400]);
    next.space.write(0x44, 2, 0);
    expect(next.places.at(-1)).toBe(0xe000_0000);
  });
});

describe("the PCI Express capability (PCI Express 5.0, 7.5.3)", () => {
  it("is of version 2, that of an integrated endpoint which can be reset by itself", () => {
    const { space } = express();
    expect([space.read(0x48, 2), space.read(0x4a, 2), space.read(0x4c, 4)]).toEqual([0x0010, 0x0092, 0x1000_8000]);
    for (let at = 0x50; at < 0x84; at += 4) expect(space.read(at, 4)).toBe(0);
  });

  it("has error reporting to switch on, and nothing else", () => {
    const { space } = express();
    for (let at = 0x48; at < 0x84; at += 2) if (at !== 0x50) space.write(at, 2, 0xffff);
    space.write(0x50, 2, 0x7fff);
    expect([space.read(0x50, 4), space.read(0x4c, 4)]).toEqual([0x000f, 0x1000_8000]);
  });

  it("resets the function when that is written, and reads as before", () => {
    const fn = express();
    fn.space.write(0x50, 2, 0x0001);
    expect(fn.resets).toBe(0);
    fn.space.write(0x50, 2, 0x8001);
    expect([fn.resets, fn.space.read(0x50, 2), fn.space.read(4, 2), fn.places.at(-1)]).toEqual([1, 0, 0, null]);
  });

  it("a request for a reset in saved contents is none", () => {
    const { space } = express();
    space.restore(space.save().with(0x51, 0x80));
    expect(space.read(0x50, 2)).toBe(0);
  });

  it("comes with 4096 bytes of configuration space, without extended capabilities", () => {
    const { space } = express();
    expect([space.read(0x100, 4), space.read(0xffc, 4), space.read(0x1000, 4)]).toEqual([0, 0, 0xffff_ffff]);
    space.write(0x100, 4, 0xffff_ffff);
    expect(space.read(0x100, 4)).toBe(0);
    for (let i = 0; i < 2; i++) space.addCapability(9, new Uint8Array(50));
    expect(() => addExpress(space, () => {})).toThrow(PciConfigError);
  });
});
