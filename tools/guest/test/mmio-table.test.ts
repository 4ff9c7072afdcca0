import { describe, expect, it } from "vitest";
import { mmioTable } from "../src/mmio-table.ts";

describe("the table of virtio-mmio devices", () => {
  const { name, data } = mmioTable([{ address: 0xfed80000, gsi: 7 }]);
  const view = new DataView(data.buffer);

  it("is an SSDT with its length and a sum of zero", () => {
    expect(name).toBe("ssdt.aml");
    expect(new TextDecoder().decode(data.subarray(0, 4))).toBe("SSDT");
    expect(view.getUint32(4, true)).toBe(data.length);
    expect(data.reduce((sum, byte) => sum + byte, 0) & 0xff).toBe(0);
  });

  it("names the register window and the interrupt", () => {
    const window = Buffer.from(data).indexOf(Buffer.from([0x86, 9, 0, 1]));
    expect(view.getUint32(window + 4, true)).toBe(0xfed80000);
    expect(view.getUint32(window + 8, true)).toBe(4096);
    expect([...data.subarray(window + 12, window + 21)]).toEqual([0x89, 6, 0, 1, 1, 7, 0, 0, 0]);
  });

  it("holds packages whose lengths end where the table ends, for one device and for many", () => {
    for (const count of [1, 2, 8, 64]) {
      const places = Array.from({ length: count }, (_, index) => ({ address: 0xfed80000 + index * 4096, gsi: 7 }));
      const table = mmioTable(places).data;
      // The scope is the only object: its length, counted from the length itself, is all the rest.
      expect(table[36]).toBe(0x10);
      const more = table[37] >> 6;
      let length = more === 0 ? table[37] & 0x3f : table[37] & 0x0f;
      for (let index = 1; index <= more; index++) length |= table[37 + index] << (8 * index - 4);
      expect(37 + length).toBe(table.length);
    }
  });
});
