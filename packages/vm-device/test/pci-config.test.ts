import { propertyOptions } from "@virtio-ts/rounds";
import fc from "fast-check";
import { beforeEach, describe, expect, it } from "vitest";
import {
  type AccessWidth,
  type PciBar,
  type PciBarKind,
  PciConfigError,
  PciConfigSpace,
  type PciHost,
  type RegisterBlock,
} from "../src/index.ts";

const NOTHING: RegisterBlock = { size: 0, read: () => 0, write() {} };

function bar(index: number, kind: PciBarKind, size: number, prefetchable = false): PciBar {
  return { index, kind, size, prefetchable, block: NOTHING };
}

/** Remembers where BARs are, and how often that changed. */
class RecordingHost implements PciHost {
  readonly places: (number | null)[] = [];
  moves = 0;
  readonly intx = { raise() {}, lower() {} };
  readonly msi = null;
  barMoved({ index }: PciBar, address: number | null): void {
    this.places[index] = address;
    this.moves++;
  }
}

const IO = bar(0, "io", 32);
const MEMORY = bar(1, "memory32", 0x4000);
const WIDE = bar(2, "memory64", 2 ** 33, true);

let space: PciConfigSpace;
let host: RecordingHost;
let activities: number[];

function setUp(): void {
  activities = [];
  host = new RecordingHost();
  space = new PciConfigSpace({
    identity: {
      vendorId: 0x1af4,
      deviceId: 0x1041,
      revision: 1,
      classCode: 0x02_0301,
      subsystemVendorId: 0x1234,
      subsystemId: 0x5678,
    },
    interruptPin: 1,
    onActivity: () => activities.push(space.activity),
  });
  for (const one of [MEMORY, WIDE, IO]) space.addBar(one);
}

beforeEach(setUp);

describe("the header", () => {
  it("says who the function is, and a driver can't change it", () => {
    for (let offset = 0; offset < 0x40; offset += 4)
      if (offset < 0x10 || offset >= 0x28) space.write(offset, 4, 0xffff_ffff);
    space.write(4, 4, 0);
    expect(space.read(0x00, 4)).toBe(0x1041_1af4);
    expect(space.read(0x08, 4)).toBe(0x02_0301_01);
    expect(space.read(0x0e, 1)).toBe(0);
    expect(space.read(0x2c, 4)).toBe(0x5678_1234);
    expect(space.read(0x3d, 1)).toBe(1);
    expect(space.read(0x28, 4)).toBe(0);
    expect(space.read(0x34, 1)).toBe(0);
  });

  it("keeps the interrupt line and the cache line size for whoever writes them", () => {
    space.write(0x3c, 1, 11);
    space.write(0x0c, 1, 16);
    expect(space.read(0x3c, 2)).toBe(0x010b);
    expect(space.read(0x0c, 4)).toBe(16);
  });

  it("has I/O, memory, bus master and INTx disable in the command register, all other bits fixed at 0", () => {
    space.write(4, 2, 0xffff);
    expect(space.read(4, 2)).toBe(0x0407);
    expect(space.activity).toBe(0x0407);
    space.write(5, 1, 0);
    expect(space.activity).toBe(0x0007);
    expect(activities).toEqual([0x0407, 0x0007]);
  });

  it("shows the interrupt status in the status register, read-only for drivers", () => {
    space.setInterruptStatus(true);
    space.write(6, 2, 0xffff);
    expect(space.read(6, 2)).toBe(0x0008);
    space.setInterruptStatus(false);
    expect(space.read(6, 2)).toBe(0);
  });

  it("clears exactly those error bits of the status register to which a 1 is written", () => {
    space.setStatusErrors(0xf900);
    space.write(6, 2, 0x2000);
    expect(space.read(6, 2)).toBe(0xd900);
    space.write(4, 4, 0xffff_0000);
    expect(space.read(6, 2)).toBe(0);
  });

  it("lets a function have writable registers of its own", () => {
    space.makeWritable(0x59, 0x33, 0xff);
    space.write(0x58, 4, 0xffff_ffff);
    expect(space.read(0x58, 4)).toBe(0x00ff_3300);
  });
});

describe("a write", () => {
  it("changes as many bytes as it is wide, and the bits of each that can be written", () => {
    space.makeWritable(0x58, 0xff, 0xff, 0xff, 0xff);
    space.write(0x58, 4, 0xffff_ffff);
    space.write(0x58, 1, 0x12);
    expect(space.read(0x58, 4)).toBe(0xffff_ff12);
    space.write(0x59, 2, 0x3456);
    expect(space.read(0x58, 4)).toBe(0xff34_5612);
  });

  it.each<[number, AccessWidth, number]>([
    [0x04, 1, 1],
    [0x05, 1, 1],
    [0x04, 2, 1],
    [0x04, 4, 1],
    [0x03, 2, 1],
    [0x00, 4, 0],
    [0x02, 2, 0],
    [0x06, 2, 0],
    [0x10, 4, 0],
    [0x3c, 1, 0],
  ])("at %i of %i bytes tells the function %i times that its command register was written", (offset, width, times) => {
    space.write(offset, width, 0);
    expect(activities.length).toBe(times);
  });

  it("can be the function's own: bits of the command register are set beside those that are", () => {
    space.plug(host);
    space.write(0x14, 4, 0xfebf_0000);
    space.write(4, 2, 0x0400);
    space.setCommand(0xfbfe);
    expect([space.read(4, 2), activities, host.places[1]]).toEqual([0x0406, [0x0400, 0x0406], 0xfebf_0000]);
  });

  it("is heard by nobody where nobody listens", () => {
    const other = new PciConfigSpace({ identity: { vendorId: 1, deviceId: 2, classCode: 3 } });
    other.addCapability(0x09, Uint8Array.of(1, 2), Uint8Array.of(0xff, 0xff));
    other.plug(host);
    other.write(4, 2, 7);
    other.write(0x42, 2, 0x0304);
    expect([other.read(4, 2), other.read(0x42, 2)]).toEqual([7, 0x0304]);
    other.reset();
    expect([other.read(4, 2), other.read(0x42, 2)]).toEqual([0, 0x0201]);
  });
});

describe("base address registers", () => {
  it("are listed by rising index, in whatever order they were added", () => {
    expect(space.bars).toEqual([IO, MEMORY, WIDE]);
  });

  it.each<[PciBarKind, number, number, number]>([
    ["io", 4, 0xffff_fffd, 0],
    ["io", 0x8000, 0xffff_8001, 0],
    ["memory32", 16, 0xffff_fff0, 0],
    ["memory32", 2 ** 31, 0x8000_0000, 0],
    ["memory64", 16, 0xffff_fff4, 0xffff_ffff],
    ["memory64", 2 ** 31, 0x8000_0004, 0xffff_ffff],
    ["memory64", 2 ** 32, 0x0000_0004, 0xffff_ffff],
    ["memory64", 2 ** 33, 0x0000_0004, 0xffff_fffe],
    ["memory64", 2 ** 52, 0x0000_0004, 0xfff0_0000],
  ])("of kind %s and %i bytes read back as %i and %i when all ones are written", (kind, size, low, high) => {
    const other = new PciConfigSpace({ identity: { vendorId: 1, deviceId: 2, classCode: 3 } });
    // In the last registers that it fits into.
    const index = kind === "memory64" ? 4 : 5;
    other.addBar(bar(index, kind, size));
    for (const at of [0x10 + 4 * index, 0x14 + 4 * index]) other.write(at, 4, 0xffff_ffff);
    expect([other.read(0x10 + 4 * index, 4), other.read(0x14 + 4 * index, 4)]).toEqual([low, high]);
  });

  it("tell their size and kind when all ones are written", () => {
    for (let offset = 0x10; offset < 0x28; offset += 4) space.write(offset, 4, 0xffff_ffff);
    expect(space.read(0x10, 4)).toBe(0xffff_ffe1);
    expect(space.read(0x14, 4)).toBe(0xffff_c000);
    expect(space.read(0x18, 4)).toBe(0x0000_000c);
    expect(space.read(0x1c, 4)).toBe(0xffff_fffe);
    expect(space.read(0x20, 4)).toBe(0);
    expect(space.read(0x24, 4)).toBe(0);
  });

  it("decode where they were put, as soon as the command register says so", () => {
    space.plug(host);
    space.write(0x10, 4, 0xc000);
    space.write(0x14, 4, 0xfebf_0000);
    space.write(0x18, 4, 0);
    space.write(0x1c, 4, 2);
    expect(host.places).toEqual([]);
    space.write(4, 2, 1);
    expect(host.places).toEqual([0xc000]);
    space.write(4, 2, 3);
    expect(host.places).toEqual([0xc000, 0xfebf_0000, 2 * 2 ** 32]);
    space.write(4, 2, 0);
    expect(host.places).toEqual([null, null, null]);
  });

  it("can be moved while decoding is off: the bus hears of the last place alone", () => {
    space.plug(host);
    space.write(0x18, 4, 0);
    space.write(0x1c, 4, 2);
    space.write(4, 2, 2);
    space.write(4, 2, 0);
    space.write(0x1c, 4, 4);
    space.write(0x1c, 4, 6);
    expect(host.moves).toBe(2);
    space.write(4, 2, 2);
    expect([host.places[2], host.moves]).toEqual([6 * 2 ** 32, 3]);
  });

  it("are reported once for each new place, and not for other writes", () => {
    space.plug(host);
    space.write(4, 2, 3);
    space.write(0x10, 4, 0xc000);
    space.write(0x10, 4, 0xc000);
    space.write(0x3c, 1, 5);
    expect(host.moves).toBe(1);
    space.write(0x11, 1, 0xd0);
    expect(host.places).toEqual([0xd000]);
    expect(host.moves).toBe(2);
  });

  it("decode nowhere while they hold zero or are being sized", () => {
    space.plug(host);
    space.write(4, 2, 3);
    for (const offset of [0x10, 0x14]) {
      space.write(offset, 4, 0x8000);
      space.write(offset, 4, 0xffff_ffff);
    }
    expect(host.places).toEqual([null, null]);
    space.write(0x10, 4, 0);
    space.write(0x14, 4, 0x8000);
    space.write(0x14, 4, 0);
    expect(host.places).toEqual([null, null]);
  });

  it("of I/O decode only inside the 64 KiB of ports, of 64 bits only below 2^53", () => {
    space.plug(host);
    space.write(4, 2, 3);
    space.write(0x10, 4, 0x1_0000);
    space.write(0x1c, 4, 0xffff_ffff);
    expect(host.moves).toBe(0);
    space.write(0x10, 4, 0xffe0);
    expect(host.places).toEqual([0xffe0]);
    space.write(0x1c, 4, 2 ** 21 - 2); // its end is 2^53
    expect(host.moves).toBe(1);
    space.write(0x1c, 4, 2 ** 21 - 4);
    expect(host.places[2]).toBe((2 ** 21 - 4) * 2 ** 32);
  });

  it("are withdrawn when the function is unplugged, and placed anew on the next bus", () => {
    space.plug(host);
    space.write(0x10, 4, 0xc000);
    space.write(4, 2, 1);
    space.unplug();
    expect(host.places).toEqual([null]);
    space.write(0x10, 4, 0xd000);
    expect(host.moves).toBe(2);
    const next = new RecordingHost();
    space.plug(next);
    expect(next.places).toEqual([0xd000]);
  });

  it("are cleared by a bus reset, with everything else a driver has written", () => {
    space.plug(host);
    const before = space.bytes.slice();
    space.write(0x10, 4, 0xc000);
    space.write(4, 2, 0x0401);
    space.write(0x3c, 1, 9);
    space.reset();
    expect(host.places).toEqual([null]);
    expect(space.bytes).toEqual(before);
    expect(activities.at(-1)).toBe(0);
  });

  it("keep what they hold when the bus is reset before the function is on it", () => {
    space.write(0x10, 4, 0xc000);
    space.reset();
    expect([space.read(0x10, 4), activities]).toEqual([0xc001, []]);
  });

  it.each([
    ["bar-index", bar(6, "io", 32)],
    ["bar-index", bar(5, "memory64", 32)],
    ["bar-index", bar(-1, "io", 32)],
    ["bar-index", bar(4.5, "io", 32)],
    ["bar-size", bar(4, "io", 2)],
    ["bar-size", bar(4, "io", 48)],
    ["bar-size", bar(4, "io", 0x1_0000)],
    ["bar-size", bar(4, "memory32", 8)],
    ["bar-size", bar(4, "memory32", 2 ** 32)],
    ["bar-overlap", bar(0, "memory32", 32)],
    ["bar-overlap", bar(3, "memory32", 32)],
  ])("can't be built wrongly: %s", (code, wrong) => {
    expect(() => space.addBar(wrong)).toThrow(expect.objectContaining({ name: "PciConfigError", code }));
  });
});

describe("the capability list", () => {
  it("begins at the capabilities pointer and ends with 0; the status register says that it is there", () => {
    expect(space.read(6, 2)).toBe(0);
    const first = space.addCapability(0x09, Uint8Array.of(5, 0xaa, 0xbb));
    const second = space.addCapability(0x11, Uint8Array.of(1, 2));
    expect([first.byteOffset, second.byteOffset]).toEqual([0x40, 0x48]);
    expect(space.read(6, 2)).toBe(0x0010);
    expect(space.read(0x34, 1)).toBe(0x40);
    expect(space.read(0x40, 4)).toBe(0xaa05_4809);
    expect(space.read(0x48, 4)).toBe(0x0201_0011);
  });

  it("is read-only but for the bits that are said to be writable", () => {
    const view = space.addCapability(0x11, Uint8Array.of(0x03, 0x00), Uint8Array.of(0x00, 0xc0));
    space.write(0x40, 4, 0xffff_ffff);
    expect(view.getUint32(0, true)).toBe(0xc003_0011);
  });

  it("takes part in accesses that touch a capability, and in no others", () => {
    const seen: string[] = [];
    space.addCapability(0x09, new Uint8Array(6), undefined, {
      reading: (start, end) => seen.push(`r${start}-${end}`),
      written: (start, end) => seen.push(`w${start}-${end}`),
    });
    for (const offset of [0x3c, 0x3f, 0x40, 0x46, 0x48]) space.read(offset, 4);
    for (const offset of [0x3c, 0x3f, 0x40, 0x46, 0x48]) space.write(offset, 4, 0);
    space.write(0x47, 1, 0);
    expect(seen).toEqual(["r0-3", "r0-4", "r6-8", "w0-3", "w0-4", "w6-8", "w7-8"]);
  });

  it("can lose a capability anywhere in it", () => {
    for (const id of [1, 2, 3]) space.addCapability(id, Uint8Array.of(0xff, 0xff), Uint8Array.of(0xff, 0xff));
    space.hideCapability(0x44);
    expect([space.read(0x34, 1), space.read(0x41, 1), space.read(0x49, 1)]).toEqual([0x40, 0x48, 0]);
    expect(space.read(6, 2)).toBe(0x0010);
    space.write(0x46, 2, 0);
    expect(space.read(0x46, 2)).toBe(0xffff);
    space.hideCapability(0x44);
    space.hideCapability(0x40);
    expect([space.read(0x34, 1), space.read(6, 2)]).toEqual([0x48, 0x0010]);
    space.hideCapability(0x48);
    expect([space.read(0x34, 1), space.read(6, 2)]).toEqual([0, 0]);
  });

  it("has an end: what no longer fits, or has a mask of another length, is refused", () => {
    space.addCapability(0x09, new Uint8Array(0x100 - 0x40 - 2));
    expect(() => space.addCapability(0x09, new Uint8Array(1))).toThrow(PciConfigError);
    const other = new PciConfigSpace({ identity: { vendorId: 1, deviceId: 2, classCode: 3 } });
    expect(() => other.addCapability(0x09, new Uint8Array(4), new Uint8Array(3))).toThrow(PciConfigError);
  });
});

describe("any access", () => {
  const access = fc.record({
    write: fc.boolean(),
    offset: fc.integer({ min: 0, max: 0x10f }),
    width: fc.constantFrom<AccessWidth>(1, 2, 4),
    value: fc.nat({ max: 0xffff_ffff }),
  });

  it("leaves identity and capability ids alone, reports every BAR aligned to its size, and never throws", () => {
    const property = fc.property(fc.array(access), (accesses) => {
      setUp();
      space.addCapability(0x09, new Uint8Array(10), new Uint8Array(10).fill(0xff));
      space.plug(host);
      host.barMoved = ({ size }, address) => {
        if (address !== null) expect(address % size).toBe(0);
      };
      for (const { write, offset, width, value } of accesses) {
        if (write) space.write(offset, width, value);
        const read = space.read(offset, width);
        expect(read).toBeGreaterThanOrEqual(0);
        expect(read).toBeLessThan(2 ** (8 * width));
      }
      expect(space.read(0, 4)).toBe(0x1041_1af4);
      expect(space.read(8, 4)).toBe(0x02_0301_01);
      expect(space.read(0x40, 2)).toBe(0x0009);
      expect(space.accepts(space.save())).toBe(true);
    });
    fc.assert(property, propertyOptions(200));
  });

  it("past the end finds all ones, as where there is nobody", () => {
    space.write(0xfe, 4, 0);
    expect([space.read(0x100, 4), space.read(0xfe, 4), space.read(0xff, 1)]).toEqual([0xffff_ffff, 0xffff_0000, 0]);
  });
});

describe("saved contents", () => {
  it("bring everything back that a driver has written, and tell bus and function", () => {
    space.plug(host);
    space.write(0x10, 4, 0xc000);
    space.write(4, 2, 0x0005);
    space.write(0x3c, 1, 9);
    const saved = JSON.parse(JSON.stringify(space.save())) as number[];
    space.reset();
    expect(host.places).toEqual([null]);
    expect(space.accepts(saved)).toBe(true);
    space.restore(saved);
    expect([host.places, space.read(4, 2), space.read(0x3c, 1), activities.at(-1)]).toEqual([[0xc000], 5, 9, 5]);
  });

  it("are not accepted with a bit that no driver can have written", () => {
    space.addCapability(0x09, Uint8Array.of(1, 2), Uint8Array.of(0, 0xf0));
    const saved = space.save();
    const changed = (at: number, value: number) => space.accepts(saved.with(at, value));
    expect([changed(0x3c, 77), changed(0x43, 0xf2), changed(7, 0xf9), changed(6, 0x18)]).toEqual([
      true,
      true,
      true,
      true,
    ]);
    for (const [at, value] of [
      [0, 0xf5],
      [8, 9],
      [0x3d, 2],
      [0x43, 3],
      [0x41, 0x40],
      [0x34, 0],
      [7, 2],
      [6, 0],
      [0x10, 0],
    ]) {
      expect(changed(at, value), `byte ${at} is ${value}`).toBe(false);
    }
    for (const value of [256, -1, 0.5, Number.NaN]) expect(changed(0x3c, value)).toBe(false);
    expect([space.accepts([]), space.accepts([...saved, 0]), space.accepts(saved.slice(1))]).toEqual([
      false,
      false,
      false,
    ]);
  });
});
