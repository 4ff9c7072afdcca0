import { describe, expect, it } from "vitest";
import type { VendorData } from "../src/index.ts";
import { setup } from "./support/setup.ts";

const VENDOR_CFG = 9;

/** What a driver finds of them: bytes of each capability, from cap_len on. */
function find(vendorData: readonly VendorData[]): number[][] {
  const { fn, guest } = setup({ vendorData });
  return guest.structures
    .filter(({ type }) => type === VENDOR_CFG)
    .map(({ at, capLen }) => Array.from({ length: capLen - 2 }, (_, i) => fn.configRead(at + 2 + i, 1)));
}

const code = (code: string) => expect.objectContaining({ name: "VirtioPciError", code });

describe("vendor data capabilities (4.1.4.8)", () => {
  it("bear their vendor's id, and the data", () => {
    const found = find([
      { vendorId: 0x1b36, data: Uint8Array.of(1, 2, 3, 4, 5, 6) },
      { vendorId: 0x8086, data: Uint8Array.of(7, 8) },
    ]);
    expect(found).toEqual([
      [12, 9, 0x36, 0x1b, 1, 2, 3, 4, 5, 6],
      [8, 9, 0x86, 0x80, 7, 8],
    ]);
  });

  it("are never of vendor 0x1AF4, or of one that can't be [pci.device.vendor-data-capability.1]", () => {
    for (const vendorId of [0x1af4, -1, 0xffff, 0x1_0000, Number.NaN]) {
      expect(() => find([{ vendorId, data: new Uint8Array(2) }])).toThrow(code("vendor-data"));
    }
  });

  it("may be of vendor 0: 0xFFFF alone is no vendor's id (PCI 3.0, 6.2.1)", () => {
    expect(find([{ vendorId: 0, data: Uint8Array.of(1, 2) }])).toEqual([[8, 9, 0, 0, 1, 2]]);
  });

  it("have a size that is a multiple of 4 bytes, filled up with zeros [pci.device.vendor-data-capability.2]", () => {
    const sizes = [0, 1, 2, 3, 6, 7, 10].map((length) => {
      const [bytes] = find([{ vendorId: 1, data: new Uint8Array(length).fill(0xaa) }]);
      expect(bytes.slice(4)).toEqual([
        ...new Array(length).fill(0xaa),
        ...new Array(bytes.length - 4 - length).fill(0),
      ]);
      return bytes[0];
    });
    expect(sizes).toEqual([8, 8, 8, 12, 12, 16, 16]);
  });

  it("can be read again and again, at any width, without an effect [pci.device.vendor-data-capability.3]", () => {
    const s = setup({ vendorData: [{ vendorId: 1, data: Uint8Array.of(1, 2, 3, 4, 5, 6) }] });
    const { at } = s.guest.structure(VENDOR_CFG);
    const state = () => [s.fn.save(), s.device.events.length, s.slot.level];
    const readAll = () => {
      for (let i = 0; i < 100; i++) {
        for (const width of [1, 2, 4] as const) {
          for (let end = at + 12; end > at; end -= width) s.fn.configRead(end - width, width);
        }
      }
    };
    s.guest.goLive();
    s.device.context?.configChanged();
    const live = state();
    readAll();
    expect(state()).toEqual(live);
    s.fn.reset(); // as nobody has read anything yet
    const untouched = state();
    readAll();
    expect(state()).toEqual(untouched);
  });

  it("are not the driver's to write", () => {
    const { fn, guest } = setup({ vendorData: [{ vendorId: 1, data: Uint8Array.of(1, 2) }] });
    const { at } = guest.structure(VENDOR_CFG);
    for (const offset of [0, 4]) fn.configWrite(at + offset, 4, 0xffff_ffff);
    expect([fn.configRead(at + 2, 2), fn.configRead(at + 4, 4)]).toEqual([0x0908, 0x0201_0001]);
  });

  it("have to fit", () => {
    expect(() => find([{ vendorId: 1, data: new Uint8Array(60) }])).not.toThrow();
    expect(() => find([{ vendorId: 1, data: new Uint8Array(200) }])).toThrow(
      expect.objectContaining({ name: "PciConfigError", code: "capability-space" }),
    );
    expect(() => find([{ vendorId: 1, data: new Uint8Array(250) }])).toThrow(code("vendor-data"));
  });
});
