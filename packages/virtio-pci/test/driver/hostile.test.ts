/**
 * Functions that lie, hang or go away while our driver brings them up: each ends in an error that says so, with nothing
 * of the driver's lost.
 * @module
 */

import { propertyOptions } from "@virtio-ts/rounds";
import { FlexibleDevice, type RecordingDevice } from "@virtio-ts/virtio-device/testing";
import { DriverError } from "@virtio-ts/virtio-driver";
import { driveAnything } from "@virtio-ts/virtio-driver/testing";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { connect, onBus, STRUCTURES, start } from "../support/driven.ts";
import { type Access, DriverBus } from "../support/driver-bus.ts";

const device = (): RecordingDevice => new FlexibleDevice({ deviceType: 4, queues: [16, 16], configSize: 16 });

/** Brings a device up whose registers read as `lie` says, and lets go of it. @returns the code of what went wrong */
async function drive(lie: (access: Access) => number): Promise<string> {
  const driven = onBus({}, device());
  const { bus } = driven;
  bus.onRead = lie;
  const outcome = await driveAnything(
    () => connect(driven),
    bus.host,
    () => {
      bus.onRead = ({ value }) => value;
    },
  );
  expect(bus.host.dma.allocated).toBe(0);
  expect(bus.host.messages.allocate(() => {})?.data).toBe(0);
  expect(bus.clock.time).toBeLessThan(30_000);
  return outcome;
}

/** A field of the common structure reads as a value. */
const field =
  (at: number, value: number) =>
  (access: Access): number =>
    access.bar === STRUCTURES && access.offset === at ? value : access.value;

describe("a hostile function", () => {
  it.each([
    ["whose status never settles", field(20, 1), "timeout"],
    ["whose status is gone", field(20, 0xff), "device-gone"],
    [
      "that does not keep FEATURES_OK",
      (a: Access) => (a.bar === STRUCTURES && a.offset === 20 ? a.value & ~8 : a.value),
      "features-refused",
    ],
    ["that offers nothing", field(4, 0), "no-version-1"],
    ["whose queues have no size", field(24, 0), "queue-unavailable"],
    ["whose queues are larger than can be", field(24, 0xffff), "refused"],
    ["whose queue is in use already", field(28, 1), "queue-unavailable"],
    ["whose queues are notified outside their structure", field(30, 0xffff), "bad-capability"],
    [
      "whose generation never rests",
      (() => {
        let generation = 0;
        return (a: Access) => (a.bar === STRUCTURES && a.offset === 21 ? generation++ & 0xff : a.value);
      })(),
      "timeout",
    ],
    ["whose registers all read as ones", (a: Access) => 2 ** (8 * a.width) - 1, "device-gone"],
  ] as const)("%s ends in an error", async (_, lie, code) => {
    expect(await drive(lie)).toBe(code);
  });

  it("that takes a size other than what was asked for is refused", async () => {
    const driven = onBus({}, device());
    let written = false;
    driven.bus.onWrite = ({ bar, offset }) => {
      if (bar === STRUCTURES && offset === 24) written = true;
      return true;
    };
    driven.bus.onRead = ({ bar, offset, value }) => (written && bar === STRUCTURES && offset === 24 ? 1024 : value);
    await expect(start(driven)).rejects.toThrow("queue 0 did not take a size of 16: it reads 1024");
    expect(driven.bus.host.dma.allocated).toBe(0);
  });

  it("that does not enable a queue is refused", async () => {
    const driven = onBus({}, device());
    driven.bus.onWrite = ({ bar, offset }) => bar !== STRUCTURES || offset !== 28;
    await expect(start(driven)).rejects.toMatchObject({ code: "refused" });
    expect(driven.bus.host.dma.allocated).toBe(0);
  });

  it("goes away at whatever access: an error says so, or nobody noticed", async () => {
    const outcomes = new Set<string>();
    for (let at = 0; at < 120; at++) {
      let accesses = 0;
      const lie = (access: Access): number => (accesses++ >= at ? 2 ** (8 * access.width) - 1 : access.value);
      outcomes.add(await drive(lie));
    }
    expect(outcomes).toContain("fine");
    expect(outcomes).toContain("device-gone");
  });

  it("shows whatever configuration space: an error says so, and the search goes on", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 256, maxLength: 256, size: "max" }), fc.boolean(), (bytes, virtio) => {
        const { bus } = onBus({}, device(), new DriverBus());
        bytes[6] |= 0x10;
        if (virtio) bytes.set([0xf4, 0x1a, 0x44, 0x10], 0);
        bus.onConfigRead = ({ offset, width }) => {
          let value = 0;
          for (let i = width - 1; i >= 0; i--) value = value * 256 + bytes[(offset + i) & 0xff];
          return value;
        };
        for (const found of bus.finder().devices()) {
          try {
            found.connect();
          } catch (cause) {
            expect(cause).toBeInstanceOf(DriverError);
          }
        }
      }),
      propertyOptions(300),
    );
  });

  it("answers each read as it likes: an error says so, in bounded time, and no memory is lost", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.nat(0xffff_ffff), { minLength: 1, maxLength: 64, size: "max" }),
        fc.nat(40),
        async (values, honest) => {
          let reads = 0;
          await drive(({ width, value }) =>
            reads++ < honest ? value : values[reads % values.length] % 2 ** (8 * width),
          );
        },
      ),
      propertyOptions(200),
    );
  });
});
