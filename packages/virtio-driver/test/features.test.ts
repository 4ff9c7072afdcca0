import { propertyOptions } from "@virtio-ts/rounds";
import { feature } from "@virtio-ts/virtio-bindings";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { chooseFeatures, DriverDevice } from "../src/index.ts";
import { MockTransport } from "./support/mock-transport.ts";

const VERSION_1 = feature(32);

describe("choosing features", () => {
  it("accepts nothing that is not offered, and nothing whose need is not met [basic.driver.feature-bits.1]", () => {
    const dependencies = [
      [7, 1],
      [9, 7],
      [22, 17],
    ] as const;
    fc.assert(
      fc.property(
        fc.bigInt(0n, 2n ** 64n - 1n),
        fc.bigInt(0n, 2n ** 64n - 1n),
        fc.boolean(),
        (offered, wanted, legacy) => {
          const chosen = chooseFeatures(offered | VERSION_1, legacy, { wanted, dependencies });
          expect(chosen & ~(offered | VERSION_1)).toBe(0n);
          for (const [bit, needs] of dependencies) {
            expect((chosen & feature(bit)) === 0n || (chosen & feature(needs)) !== 0n).toBe(true);
          }
        },
      ),
      propertyOptions(300),
    );
    expect(chooseFeatures(VERSION_1 | feature(1, 7, 9), false, { wanted: feature(1, 7, 9), dependencies })).toBe(
      VERSION_1 | feature(1, 7, 9),
    );
    expect(chooseFeatures(VERSION_1 | feature(7, 9), false, { wanted: feature(1, 7, 9), dependencies })).toBe(
      VERSION_1,
    );
  });

  it("drops what needs a dropped feature, in whatever order the needs are told, chains, forks and rings of them [basic.driver.feature-bits.1]", () => {
    // What needs what is told last to first, and crosswise: one look at each does not do.
    const chain = [
      [9, 7],
      [8, 9],
      [7, 1],
      [6, 8],
    ] as const;
    const all = feature(1, 6, 7, 8, 9);
    for (const dependencies of [chain, [...chain].reverse(), [chain[1], chain[3], chain[0], chain[2]]]) {
      const choose = (offered: bigint): bigint =>
        chooseFeatures(VERSION_1 | offered, false, { wanted: all, dependencies });
      expect(choose(all)).toBe(VERSION_1 | all);
      expect(choose(feature(6, 7, 8, 9))).toBe(VERSION_1);
      expect(choose(feature(1, 6, 8, 9))).toBe(VERSION_1 | feature(1));
      expect(choose(feature(1, 6, 7, 8))).toBe(VERSION_1 | feature(1, 7));
    }

    // Arbitrary needs: a feature is taken when all that it leads to, by however many steps, is there.
    const bit = fc.nat({ max: 7 });
    const needs = fc.array(fc.tuple(bit, bit), { maxLength: 16 });
    fc.assert(
      fc.property(needs, fc.nat({ max: 255 }), (dependencies, offered) => {
        const leadsTo = (from: number, met: Set<number> = new Set()): Set<number> => {
          if (!met.has(from)) {
            met.add(from);
            for (const [of, need] of dependencies) if (of === from) leadsTo(need, met);
          }
          return met;
        };
        const there = (n: number): boolean => ((offered >> n) & 1) === 1;
        const expected = [0, 1, 2, 3, 4, 5, 6, 7].filter((n) => [...leadsTo(n)].every(there));
        const chosen = chooseFeatures(VERSION_1 | BigInt(offered), false, { wanted: 255n, dependencies });
        expect(chosen).toBe(VERSION_1 | feature(...expected));
      }),
      propertyOptions(2000),
    );
  });

  it("checks what a modern interface offers, and gives one without VERSION_1 up [basic.driver.feature-bits.2] [basic.driver.reserved-feature-bits.2]", () => {
    expect(() => chooseFeatures(feature(0), false, {})).toThrow(expect.objectContaining({ code: "no-version-1" }));
  });

  it("ignores reserved bits, even when asked for [basic.driver.feature-bits.3]", () => {
    const reserved = feature(24, 25, 26, 31, 37, 41, 42, 44, 45, 46, 47, 48, 49);
    expect(chooseFeatures(VERSION_1 | reserved, false, { wanted: reserved })).toBe(VERSION_1);
  });

  it("does not mind features it does not know [basic.driver.feature-bits.5]", async () => {
    const transport = new MockTransport({ offered: 2n ** 64n - 1n });
    const device = await DriverDevice.open(transport, transport.host);
    await device.negotiate({ wanted: feature(0), without: feature(34) });
    expect(device.has(0)).toBe(true);
    expect(device.has(1)).toBe(false);
    expect(transport.status).toBe(11);
  });

  it("accepts VERSION_1 [basic.driver.reserved-feature-bits.1]", () => {
    expect(chooseFeatures(VERSION_1, false, {})).toBe(VERSION_1);
  });

  it.each([
    ["ACCESS_PLATFORM [basic.driver.reserved-feature-bits.3]", 33],
    ["RING_PACKED [basic.driver.reserved-feature-bits.5]", 34],
    ["ORDER_PLATFORM [basic.driver.reserved-feature-bits.6]", 36],
    ["NOTIF_CONFIG_DATA [basic.driver.reserved-feature-bits.12]", 39],
    ["INDIRECT_DESC", 28],
    ["EVENT_IDX", 29],
    ["IN_ORDER", 35],
    ["NOTIFICATION_DATA", 38],
    ["RING_RESET", 40],
    ["SUSPEND", 43],
  ])("accepts %s, unless the driver does not want it", (_, bit) => {
    const offered = VERSION_1 | feature(bit);
    expect(chooseFeatures(offered, false, {})).toBe(offered);
    expect(chooseFeatures(offered, false, { without: feature(bit) })).toBe(VERSION_1);
  });

  it("never accepts SR_IOV, for it looks at no SR-IOV capability [basic.driver.reserved-feature-bits.9]", () => {
    expect(chooseFeatures(VERSION_1 | feature(37), false, { wanted: feature(37) })).toBe(VERSION_1);
  });

  it("has on a legacy interface 32 bits, ANY_LAYOUT among them, and never bit 30 [basic.legacy.both.legacy-interface-reserved-feature-bits.3]", () => {
    const offered = 0xffff_ffffn;
    expect(chooseFeatures(offered | VERSION_1, true, { wanted: offered })).toBe(feature(27, 28, 29) | 0xff_ffffn);
    expect(chooseFeatures(VERSION_1 | feature(27), false, {})).toBe(VERSION_1);
  });

  it("drops the one feature a legacy device offers where its need is not met [basic.driver.feature-bits.1]", () => {
    expect(chooseFeatures(feature(0), true, { wanted: feature(0), dependencies: [[0, 5]] })).toBe(0n);
  });

  it("says which required features are missing", () => {
    expect(() => chooseFeatures(VERSION_1 | feature(5), false, { required: feature(5, 3) })).toThrow(
      "required features 0x8 are not to be had",
    );
    expect(() =>
      chooseFeatures(VERSION_1 | feature(5), false, { required: feature(5), dependencies: [[5, 6]] }),
    ).toThrow(expect.objectContaining({ code: "not-supported" }));
  });
});
