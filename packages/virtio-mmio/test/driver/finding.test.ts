import { connectFirst, DriverError, findDevices } from "@virtio-ts/virtio-driver";
import { describe, expect, it } from "vitest";
import { MmioFinder } from "../../src/index.ts";
import { DriverSide, PLACE } from "../support/driver-side.ts";

/** A device whose register at `offset` reads as `value`. */
function lying(offset: number, value: number): DriverSide {
  const side = new DriverSide();
  side.onRead = (access) => (access.offset === offset ? value : access.value);
  return side;
}

const found = (side: DriverSide) => [...new MmioFinder(side.host, side, [PLACE]).devices()];

describe("finding devices over MMIO (4.2.1, 4.2.3.1)", () => {
  it("reads magic, version and id, in this order [mmio.driver.device-initialization.1]", () => {
    const side = new DriverSide();
    expect(found(side)).toMatchObject([{ kind: "mmio", deviceType: 4, location: "0xa000200" }]);
    expect(side.accesses.map(({ write, offset }) => [write, offset])).toEqual([
      [false, 0],
      [false, 4],
      [false, 8],
    ]);
  });

  it("passes over what has another magic number [mmio.driver.mmio-device-register-layout.4]", () => {
    const side = lying(0, 0x7472_6977);
    expect(found(side)).toEqual([]);
    expect(() => side.connect()).toThrow(expect.objectContaining({ code: "bad-device", errno: "ENODEV" }));
    expect(side.accesses.every(({ offset }) => offset === 0)).toBe(true);
  });

  it.each([0, 3, 0xffff_ffff])("passes over version %s [mmio.driver.mmio-device-register-layout.5]", (version) => {
    const side = lying(4, version);
    expect(found(side)).toEqual([]);
    expect(() => side.connect()).toThrow(expect.objectContaining({ code: "not-supported", errno: "ENOTSUP" }));
    expect(side.accesses.every(({ offset }) => offset <= 4)).toBe(true);
  });

  it("passes over placeholders without a word, and reads no other register of them [mmio.driver.mmio-device-register-layout.6] [mmio.driver.device-initialization.2]", () => {
    const side = lying(8, 0);
    expect(found(side)).toEqual([]);
    expect(() => side.connect()).toThrow(expect.objectContaining({ code: "not-found", errno: "ENODEV" }));
    expect(side.accesses.every(({ write, offset }) => !write && offset <= 8)).toBe(true);
  });

  it("finds devices in a list, which Phoenix-RTOS's libvirtio can't", () => {
    const side = new DriverSide();
    const places = [{ address: 0x0a00_0000, line: 6 }, PLACE, { address: 0x0a00_4000, line: 8 }, PLACE];
    const search = findDevices([new MmioFinder(side.host, side, places)], 4);
    expect(search.next().value?.location).toBe("0xa000200");
    expect(search.next().value?.location).toBe("0xa000200");
    expect(search.next().done).toBe(true);
    expect(() => connectFirst([new MmioFinder(side.host, side, places)], 5)).toThrow(DriverError);
  });
});
