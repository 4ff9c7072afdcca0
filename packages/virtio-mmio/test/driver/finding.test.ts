import { FlexibleDevice } from "@virtio-ts/virtio-device/testing";
import { connectFirst, DriverDevice, DriverError, findDevices } from "@virtio-ts/virtio-driver";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MmioFinder } from "../../src/index.ts";
import { type Access, DriverSide, PLACE } from "../support/driver-side.ts";

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

/** Brings a device up whose registers read as `lie` says, and lets go of it. @returns the code of what went wrong */
async function drive(lie: (access: Access) => number, version: 1 | 2 = 2): Promise<string> {
  const side = new DriverSide({ version }, new FlexibleDevice({ deviceType: 4, queues: [16, 16], configSize: 16 }));
  side.onRead = lie;
  let code = "fine";
  let driver: DriverDevice | null = null;
  const attempt = async (step: () => Promise<void> | undefined): Promise<void> => {
    try {
      await step();
    } catch (cause) {
      if (!(cause instanceof DriverError)) throw cause;
      if (code === "fine") code = cause.code;
    }
  };
  await attempt(async () => {
    driver = await DriverDevice.open(side.connect(), side.host);
    await driver.negotiate();
    await driver.bindInterrupts(2);
    for (const index of [0, 1]) await driver.createQueue(index);
    await driver.start();
    driver.config.read64(0);
  });
  await attempt(() => driver?.close());
  side.onRead = ({ value }) => value; // a device that would not be reset keeps its memory until it is
  await attempt(() => driver?.close());
  expect(side.host.dma.allocated).toBe(0);
  expect(side.clock.time).toBeLessThan(30_000);
  return code;
}

const register =
  (offset: number, value: number) =>
  (access: Access): number =>
    access.offset === offset ? value : access.value;

describe("a hostile device behind registers", () => {
  it.each([
    ["whose status never settles", register(0x070, 1), "timeout"],
    ["whose status is gone", register(0x070, 0xffff_ffff), "device-gone"],
    [
      "that does not keep FEATURES_OK",
      (a: Access) => (a.offset === 0x070 ? a.value & ~8 : a.value),
      "features-refused",
    ],
    ["that offers nothing", register(0x010, 0), "no-version-1"],
    ["whose queues have no size", register(0x034, 0), "queue-unavailable"],
    ["whose queues are larger than memory", register(0x034, 0xffff_ffff), "no-memory"],
    ["whose queues are ready already", register(0x044, 1), "queue-unavailable"],
    ["whose queues never get ready", register(0x044, 0), "refused"],
    ["whose registers all read as ones", (a: Access) => 2 ** (8 * a.width) - 1, "bad-device"],
  ] as const)("%s ends in an error", async (_, lie, code) => {
    expect(await drive(lie)).toBe(code);
  });

  it("whose generation never rests ends in an error", async () => {
    let generation = 0;
    expect(await drive((a) => (a.offset === 0x0fc ? generation++ : a.value))).toBe("timeout");
  });

  it("of version 1 whose configuration never reads the same ends in an error", async () => {
    let value = 0;
    expect(await drive((a) => (a.offset >= 0x100 ? value++ : a.value), 1)).toBe("timeout");
  });

  it("goes away at whatever access: an error says so, or nobody noticed", async () => {
    for (const version of [1, 2] as const) {
      const outcomes = new Set<string>();
      for (let at = 0; at < 60; at++) {
        let accesses = 0;
        outcomes.add(await drive((a) => (accesses++ >= at ? 2 ** (8 * a.width) - 1 : a.value), version));
      }
      expect(outcomes).toContain("fine");
      expect(outcomes).toContain("device-gone");
    }
  });

  it("answers each read as it likes: an error says so, in bounded time, and no memory is lost", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.nat(0xffff_ffff), { minLength: 1, maxLength: 64, size: "max" }),
        fc.nat(40),
        fc.constantFrom(1, 2),
        async (values, honest, version) => {
          let reads = 0;
          const lie = ({ width, value }: Access): number =>
            reads++ < honest ? value : values[reads % values.length] % 2 ** (8 * width);
          await drive(lie, version as 1 | 2);
        },
      ),
      { numRuns: 200 },
    );
  });
});
