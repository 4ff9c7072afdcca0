import { feature } from "@virtio-ts/virtio-bindings";
import { FlexibleDevice, RecordingDevice } from "@virtio-ts/virtio-device/testing";
import { DriverDevice } from "@virtio-ts/virtio-driver";
import { BufferElements } from "@virtio-ts/virtio-queue";
import { describe, expect, it } from "vitest";
import { CONFIG, common, connect, ISR, NOTIFY, onBus, STRUCTURES, start, written } from "../support/driven.ts";

const QUEUE_SIZE = 24;
const QUEUE_ENABLE = 28;
const QUEUE_DESC = 32;
const QUEUE_RESET = 58;
/** Fields no driver writes: device_feature, num_queues, config_generation, queue_notify_off, queue_notif_config_data. */
const READ_ONLY = [4, 18, 21, 30, 56];

const device = () => new FlexibleDevice({ deviceType: 4, queues: [16, 32], configSize: 24 });

describe("the common configuration structure, as our driver uses it (4.1.4.3)", () => {
  it("is read and written by fields: 8 bits by 8, 16 by 16, and 32 and 64 by 32 [pci.driver.pci-device-layout.1] [pci.driver.pci-device-layout.2]", async () => {
    const driven = onBus({}, device());
    const driver = await start(driven);
    driven.device.config.bytes.set([1, 2, 3, 4, 5, 6, 7, 8]);
    driver.config.read8(1);
    driver.config.read16(2);
    driver.config.read32(4);
    expect(driver.config.read64(0)).toBe(0x0807_0605_0403_0201n);
    driver.config.write8(17, 0x12);
    driver.config.write16(18, 0x3456);
    driver.config.write32(20, 0x1234_5678);
    driver.config.write64(8, 1n);
    const widths: Record<number, number> = {
      20: 1,
      21: 1,
      16: 2,
      18: 2,
      22: 2,
      24: 2,
      26: 2,
      28: 2,
      30: 2,
      56: 2,
      58: 2,
    };
    const seen = common(driven.bus).map(({ offset, width }) => `${offset}:${width}`);
    expect(new Set(seen)).toEqual(new Set(common(driven.bus).map(({ offset }) => `${offset}:${widths[offset] ?? 4}`)));
    // Of the fields of 16 bits those that every driver uses were used: there was something to see.
    for (const field of ["16:2", "22:2", "24:2", "26:2", "28:2", "30:2"]) expect(seen).toContain(field);
    const config = driven.bus.accesses.filter(
      ({ offset, bar }) => bar === STRUCTURES && offset >= CONFIG && offset < NOTIFY,
    );
    expect(config.map(({ write, offset, width }) => [write ? "write" : "read", offset - CONFIG, width])).toEqual([
      ["read", 1, 1],
      ["read", 2, 2],
      ["read", 4, 4],
      ["read", 0, 4],
      ["read", 4, 4],
      ["write", 17, 1],
      ["write", 18, 2],
      ["write", 20, 4],
      ["write", 8, 4],
      ["write", 12, 4],
    ]);
  });

  it("gets features by pages of 32 bits, the first page first", () => {
    const driven = onBus({}, device());
    const transport = connect(driven);
    driven.bus.clear();
    transport.writeFeatures(0x9abc_def0_1234_5678n);
    const writes = common(driven.bus).map(({ offset, value }) => [offset, value]);
    expect(writes).toEqual([
      [8, 0],
      [12, 0x1234_5678],
      [8, 1],
      [12, 0x9abc_def0],
    ]);
  });

  it("has its read-only fields left alone [pci.driver.common-configuration-structure-layout.1]", async () => {
    const driven = onBus({}, device());
    const driver = await start(driven);
    await driver.close();
    for (const { write, offset } of common(driven.bus)) {
      if (write) expect(READ_ONLY).not.toContain(offset);
    }
  });

  it("gets sizes that are not 0 with packed rings [pci.driver.common-configuration-structure-layout.2]", async () => {
    const driven = onBus({ ringFeatures: feature(32, 34) }, device());
    const driver = await DriverDevice.open(connect(driven), driven.bus.host);
    await driver.negotiate();
    await expect(driver.createQueue(0, { size: 0 })).rejects.toMatchObject({ code: "invalid" });
    await driver.createQueue(0);
    await driver.createQueue(1, { size: 13 });
    expect(written(driven.bus, QUEUE_SIZE)).toEqual([16, 13]);
  });

  it("gets sizes that are powers of 2 with split rings [pci.driver.common-configuration-structure-layout.3]", async () => {
    const driven = onBus({}, device());
    // A device that breaks 4.1.4.3.1: until a size was written, queue 1 says 48.
    driven.bus.onRead = ({ offset, value }) => {
      return offset === QUEUE_SIZE && value === 32 && written(driven.bus, QUEUE_SIZE).length < 2 ? 48 : value;
    };
    await start(driven, {}, { without: feature(34) });
    expect(written(driven.bus, QUEUE_SIZE)).toEqual([16, 32]);
  });

  it("has a queue enabled when all else of it is written [pci.driver.common-configuration-structure-layout.4]", async () => {
    const driven = onBus({}, device());
    await start(driven);
    const fields = common(driven.bus)
      .filter(({ write, offset }) => write && offset >= 22)
      .map(({ offset }) => offset);
    const last = fields.lastIndexOf(22);
    expect(fields.slice(last)).toEqual([22, 24, 32, 36, 40, 44, 48, 52, 26, 28]);
  });

  it("is not written to before the reset reads as done [pci.driver.common-configuration-structure-layout.5]", async () => {
    const driven = onBus({}, device());
    let reads = 0;
    driven.bus.onRead = ({ bar, offset, value }) => (bar === STRUCTURES && offset === 20 && ++reads < 5 ? 15 : value);
    await DriverDevice.open(connect(driven), driven.bus.host);
    const first = common(driven.bus).findIndex(({ write, value }) => write && value === 1);
    expect(
      common(driven.bus)
        .slice(0, first)
        .filter(({ write }) => write),
    ).toEqual([{ write: true, bar: STRUCTURES, offset: 20, width: 1, value: 0 }]);
    expect(
      common(driven.bus)
        .slice(0, first)
        .filter(({ write }) => !write).length,
    ).toBe(6);
  });

  it("gets no 0 in queue_enable [pci.driver.common-configuration-structure-layout.6]", async () => {
    const driven = onBus({}, device());
    const driver = await start(driven);
    const queue = await driver.createQueue(1).catch(() => null);
    expect(queue).toBeNull();
    await driver.close();
    expect(written(driven.bus, QUEUE_ENABLE)).toEqual([1, 1]);
  });

  it("gets no 0 in queue_enable when a queue is reset [pci.driver.common-configuration-structure-layout.6]", async () => {
    const driven = onBus({}, device());
    const driver = await DriverDevice.open(connect(driven), driven.bus.host);
    await driver.negotiate();
    const queue = await driver.createQueue(0);
    await driver.start();
    await driver.destroyQueue(queue);
    expect(written(driven.bus, QUEUE_RESET)).toEqual([1]);
    expect(written(driven.bus, QUEUE_ENABLE)).toEqual([1]);
  });

  it("tells when a queue's reset is done, which is when queue_reset reads 0 [pci.driver.common-configuration-structure-layout.7] [basic.driver.virtqueue-reset.1]", async () => {
    const driven = onBus({}, device());
    const { bus } = driven;
    const driver = await DriverDevice.open(connect(driven), bus.host);
    await driver.negotiate();
    const queue = await driver.createQueue(0);
    await driver.start();
    let done = (): void => {};
    (driven.device as FlexibleDevice).stopPromise = new Promise((resolve) => {
      done = resolve;
    });
    let reads = 0;
    bus.onRead = ({ offset, bar, value }) => {
      if (bar === STRUCTURES && offset === QUEUE_RESET && ++reads === 4) done();
      return value;
    };
    const allocated = bus.host.dma.allocated;
    const destroyed = driver.destroyQueue(queue);
    expect(bus.host.dma.allocated).toBe(allocated);
    await destroyed;
    expect(written(bus, QUEUE_RESET)).toEqual([1]);
    expect(reads).toBeGreaterThan(4);
    expect(bus.host.dma.allocated).toBe(allocated - 1);
  });

  it("does not take a queue for reset that is still enabled", async () => {
    const driven = onBus({}, device());
    const driver = await start(driven);
    driven.bus.onRead = ({ offset, bar, value }) =>
      bar === STRUCTURES && offset === QUEUE_RESET ? 0 : bar === STRUCTURES && offset === QUEUE_ENABLE ? 1 : value;
    await expect(driver.transport.resetQueue(0)).rejects.toMatchObject({ code: "timeout" });
  });

  it("has a queue enabled again, at another place and of another size [pci.driver.common-configuration-structure-layout.8] [pci.driver.common-configuration-structure-layout.9]", async () => {
    const driven = onBus({}, device());
    const driver = await DriverDevice.open(connect(driven), driven.bus.host);
    await driver.negotiate();
    const queue = await driver.createQueue(0);
    await driver.start();
    await driver.destroyQueue(queue);
    driven.bus.host.dma.allocate(64, 16); // so that it can't be where it was
    driven.bus.clear();
    const again = await driver.createQueue(0, { size: 8 });
    expect(written(driven.bus, QUEUE_SIZE)).toEqual([8]);
    expect(written(driven.bus, QUEUE_DESC)).toEqual([0x1040]);
    expect(written(driven.bus, QUEUE_ENABLE)).toEqual([1]);
    await again.enqueue(new BufferElements().writable(0x8000, 4), 1);
    again.notify();
    expect(driven.device.events.at(-1)).toBe("notify 0");
  });

  it("without RING_RESET resets no queue alone", async () => {
    const driven = onBus({}, device());
    const driver = await start(driven, {}, { without: feature(40) });
    await expect(driver.transport.resetQueue(0)).rejects.toMatchObject({ code: "not-supported" });
  });
});

describe("available buffer notifications (4.1.5.2)", () => {
  const notifications = (bus: ReturnType<typeof onBus>["bus"]): number[][] =>
    bus.accesses
      .filter(({ bar, offset, write }) => bar === STRUCTURES && offset >= NOTIFY && write)
      .map(({ offset, width, value }) => [offset - NOTIFY, width, value]);

  it("have 16 bits: the queue's index [pci.driver.available-buffer-notifications.1] [pci.driver.available-buffer-notifications.3]", async () => {
    const driven = onBus({}, device());
    const driver = await start(driven, {}, { without: feature(38) });
    driven.bus.clear();
    driver.transport.notify(0);
    driver.transport.notify(1);
    expect(notifications(driven.bus)).toEqual([
      [0, 2, 0],
      [4, 2, 1],
    ]);
    expect(driven.device.events.slice(-2)).toEqual(["notify 0", "notify 1"]);
  });

  it("have 32 bits with NOTIFICATION_DATA: the index, and the position [pci.driver.available-buffer-notifications.2] [pci.driver.available-buffer-notifications.4]", async () => {
    const driven = onBus({ transportFeatures: feature(38) }, device());
    const driver = await DriverDevice.open(connect(driven), driven.bus.host);
    await driver.negotiate({ without: feature(34) });
    await driver.createQueue(0);
    const queue = await driver.createQueue(1);
    await driver.start();
    for (let i = 0; i < 3; i++) await queue.enqueue(new BufferElements().writable(0x8000, 4), i);
    queue.notify();
    expect(notifications(driven.bus)).toEqual([[4, 4, 0x0003_0001]]);
  });

  it.each([
    ["16 bits [pci.driver.available-buffer-notifications.5]", 0n, [8, 2, 0x5551]],
    ["32 bits [pci.driver.available-buffer-notifications.6]", feature(38), [8, 4, 0x0001_5551]],
  ] as const)("name a queue as the device wants with NOTIF_CONFIG_DATA: %s", async (_, extra, expected) => {
    const driven = onBus({ transportFeatures: extra, notifyMultiplier: 8 }, device());
    const { bus } = driven;
    let selected = 0;
    let page = 0;
    bus.onRead = ({ bar, offset, value }) => {
      if (bar !== STRUCTURES) return value;
      if (offset === 4 && page === 1) return value | (1 << 7);
      return offset === 56 ? 0x5550 + selected : value;
    };
    bus.onWrite = ({ bar, offset, value }) => {
      if (bar !== STRUCTURES) return true;
      if (offset === 0) page = value;
      if (offset === 22) selected = value;
      return true;
    };
    const transport = connect(driven);
    expect(transport.readFeatures() & feature(39)).toBe(feature(39));
    transport.writeFeatures(feature(32, 39) | extra);
    for (const index of [0, 1]) {
      await transport.enableQueue(index, { size: 4, descriptorArea: 0x1000, driverArea: 0x2000, deviceArea: 0x3000 });
    }
    transport.notify(1, extra === 0n ? undefined : 1);
    expect(notifications(bus)).toEqual([expected]);
  });

  it("go nowhere for a queue that was not enabled", async () => {
    const driven = onBus({}, device());
    const driver = await start(driven, {}, {}, 1);
    driven.bus.clear();
    driver.transport.notify(1);
    expect(driven.bus.accesses).toEqual([]);
  });
});

describe("suspension and the rest, through real registers", () => {
  it("suspends and resumes a device that takes its time", async () => {
    const driven = onBus({}, device());
    const driver = await start(driven, {}, { without: feature(34) });
    await driver.suspend();
    expect(driver.transport.readStatus()).toBe(27);
    await driver.resume();
    expect(driver.transport.readStatus()).toBe(15);
    expect(driven.device.events).toContain("stop 1");
  });

  it("waits for a device whose reset takes its time", async () => {
    const plain = new RecordingDevice({ deviceType: 4 });
    const driven = onBus({}, plain);
    const driver = await start(driven);
    let done = (): void => {};
    plain.resetPromise = new Promise((resolve) => {
      done = resolve;
    });
    let reads = 0;
    driven.bus.onRead = ({ bar, offset, value }) => {
      if (bar === STRUCTURES && offset === 20 && ++reads === 3) done();
      return value;
    };
    await driver.close();
    expect(reads).toBeGreaterThan(3);
    expect(driven.bus.host.dma.allocated).toBe(0);
  });

  it("reads ISR status nowhere but in its structure", async () => {
    const driven = onBus({ interrupt: "intx" }, device());
    const driver = await start(driven);
    driven.bus.clear();
    driven.bus.onRead = ({ bar, offset, value }) => (bar === STRUCTURES && offset === ISR ? 3 : value);
    expect(driver.transport.readIsr()).toBe(3);
    expect(driven.bus.accesses.map(({ offset, width }) => [offset, width])).toEqual([[ISR, 1]]);
  });

  it("reads no ISR status while messages are used", async () => {
    const driven = onBus({}, device());
    const driver = await start(driven);
    driven.bus.clear();
    expect(driver.transport.readIsr()).toBe(0);
    expect(driven.bus.accesses).toEqual([]);
  });
});
