import { feature } from "@virtio-ts/virtio-bindings";
import { RecordingDevice } from "@virtio-ts/virtio-device/testing";
import { DriverDevice } from "@virtio-ts/virtio-driver";
import { BufferElements } from "@virtio-ts/virtio-queue";
import { describe, expect, it } from "vitest";
import { connect, type Driven, onBus, start } from "../support/driven.ts";

const device = () => new RecordingDevice({ deviceType: 4, queues: [16, 8], configSize: 12, features: 0x21n });
const legacy = (options: Parameters<typeof onBus>[0] = {}): Driven => onBus({ mode: "legacy", ...options }, device());

/** Accesses of the driver to BAR0. */
const ports = ({ bus }: Driven) => bus.accesses.filter(({ bar }) => bar === 0);

describe("the legacy interface, as our driver uses it (4.1.4.10)", () => {
  it("is brought up without FEATURES_OK, by pages", async () => {
    const driven = legacy({ interrupt: "intx" });
    await start(driven, {}, { wanted: feature(0) });
    const writes = ports(driven)
      .filter(({ write }) => write)
      .map(({ offset, width, value }) => [offset, width, value]);
    expect(writes.filter(([offset]) => offset === 18)).toEqual([
      [18, 1, 0],
      [18, 1, 1],
      [18, 1, 3],
      [18, 1, 7],
    ]);
    expect(writes.filter(([offset]) => offset === 4)).toEqual([
      [4, 4, 0x3800_0001 & driven.fn.core.deviceFeatures(0, true)],
    ]);
    expect(writes.filter(([offset]) => offset === 8)).toEqual([
      [8, 4, 1],
      [8, 4, 3],
    ]);
    expect(driven.fn.core.status).toBe(7);
    expect(driven.fn.core.queues.map(({ size }) => size)).toEqual([16, 8]);
  });

  it.each([
    ["intx", 20, 32],
    ["msix", 24, 64],
  ] as const)(
    "has the device's configuration right behind its header: by %s at %s [pci.legacy.both.legacy-interfaces-a-note-on-pci-device-layout.3]",
    async (interrupt, header, size) => {
      const driven = legacy({ interrupt });
      const driver = await start(driven);
      driven.device.config.bytes.set([1, 2, 3, 4, 5, 6, 7, 8]);
      driven.bus.clear();
      expect(driver.config.read64(0)).toBe(0x0807_0605_0403_0201n);
      driver.config.write8(8, 9);
      expect(driven.device.config.bytes[8]).toBe(9);
      expect(new Set(ports(driven).map(({ offset }) => offset))).toEqual(new Set([header, header + 4, header + 8]));
      expect(driver.config.size).toBe(size - header);
      await driver.close();
      expect(driver.transport.configSize).toBe(size - 20);
    },
  );

  it("interrupts by messages, each queue by its own, and by the pin", async () => {
    for (const interrupt of ["msix", "intx"] as const) {
      const driven = legacy({ interrupt });
      const driver = await DriverDevice.open(connect(driven), driven.bus.host);
      await driver.negotiate();
      await driver.bindInterrupts(2);
      const told: string[] = [];
      driver.onConfigChange = () => void told.push("config");
      for (const index of [0, 1]) await driver.createQueue(index, { onUsed: () => void told.push(`${index}`) });
      await driver.start();
      driven.device.context?.queues[1]?.notifier.notify();
      driven.device.context?.configChanged();
      expect(told).toEqual(interrupt === "msix" ? ["1", "config"] : ["0", "1", "config"]);
      expect(driver.transport.readIsr()).toBe(0);
      await driver.close();
      expect(driven.bus.host.messages.allocate(() => {})?.data).toBe(0); // all were given back
    }
  });

  it("is notified by the queue's index", async () => {
    const driven = legacy();
    const driver = await DriverDevice.open(connect(driven), driven.bus.host);
    await driver.negotiate();
    const queue = await driver.createQueue<string>(1);
    await driver.start();
    await queue.enqueue(new BufferElements().writable(0x8000, 8), "a");
    driven.bus.clear();
    queue.notify();
    expect(ports(driven).map(({ offset, width, value }) => [offset, width, value])).toEqual([[16, 2, 1]]);
    expect(driven.device.events.at(-1)).toBe("notify 1");
  });

  it("gives a queue back by page 0", async () => {
    const driven = legacy();
    const driver = await DriverDevice.open(connect(driven), driven.bus.host);
    await driver.negotiate();
    const queue = await driver.createQueue(0);
    await driver.destroyQueue(queue);
    expect(driven.fn.core.queues[0].enabled).toBe(false);
    expect(driven.bus.host.dma.allocated).toBe(0);
    await driver.createQueue(0);
    expect(driven.fn.core.queues[0].enabled).toBe(true);
  });

  it("has queues below 2^44, at whole pages, and not at 0", async () => {
    const driven = legacy();
    const transport = connect(driven);
    expect(transport.legacyPlacement).toEqual({ align: 4096, limit: 2 ** 44, fixedSize: true });
    for (const descriptorArea of [0, 0x1001, 2 ** 44]) {
      const areas = { size: 16, descriptorArea, driverArea: 0, deviceArea: 0 };
      await expect(transport.enableQueue(0, areas)).rejects.toMatchObject({ code: "address-range", errno: "EFAULT" });
    }
  });

  it("has neither a generation nor shared memory, and 32 features", async () => {
    const transport = connect(legacy());
    expect(transport.configGeneration()).toBeNull();
    expect(transport.sharedMemory(0)).toBeNull();
    expect(transport.readFeatures() >> 32n).toBe(0n);
  });

  it.each([
    [8, "a page that is not taken"],
    [22, "a vector that is refused"],
  ])("finds out by reading back %s: %s", async (field) => {
    const driven = legacy();
    driven.bus.onWrite = ({ bar, offset }) => bar !== 0 || offset !== field;
    await expect(start(driven)).rejects.toMatchObject({ code: "refused" });
    expect(driven.bus.host.dma.allocated).toBe(0);
  });

  it("says when a queue is not given back", async () => {
    const driven = legacy();
    const driver = await DriverDevice.open(connect(driven), driven.bus.host);
    await driver.negotiate();
    const queue = await driver.createQueue(0);
    driven.bus.onWrite = ({ bar, offset, value }) => bar !== 0 || offset !== 8 || value !== 0;
    await expect(driver.destroyQueue(queue)).rejects.toMatchObject({ code: "refused" });
    expect(driven.bus.host.dma.allocated).toBe(1);
  });
});
