import { feature } from "@virtio-ts/virtio-bindings";
import { FlexibleDevice, RecordingDevice } from "@virtio-ts/virtio-device/testing";
import { DriverDevice } from "@virtio-ts/virtio-driver";
import { BufferElements } from "@virtio-ts/virtio-queue";
import { MemoryRegion } from "@virtio-ts/vm-memory";
import { describe, expect, it } from "vitest";
import { type Access, DriverSide } from "../support/driver-side.ts";

/** Registers by what may be done with them. */
const READ_ONLY = [0x000, 0x004, 0x008, 0x00c, 0x010, 0x034, 0x060, 0x0b0, 0x0b4, 0x0b8, 0x0bc, 0x0fc];
const WRITE_ONLY = [0x014, 0x020, 0x024, 0x030, 0x038, 0x050, 0x064, 0x080, 0x084, 0x090, 0x094, 0x0a0, 0x0a4, 0x0ac];
const BOTH = [0x044, 0x070, 0x0c0];
/** What is not accessed of a queue that is ready. */
const SET_UP = [0x038, 0x080, 0x084, 0x090, 0x094, 0x0a0, 0x0a4];

const control = (side: DriverSide): Access[] => side.accesses.filter(({ offset }) => offset < 0x100);

/** A whole life: brought up, used, suspended, a queue reset and set up again, closed. */
async function life(side: DriverSide): Promise<void> {
  const driver = await DriverDevice.open(side.connect(), side.host);
  await driver.negotiate();
  await driver.bindInterrupts(2);
  const first = await driver.createQueue(0);
  await driver.createQueue(1);
  await driver.start();
  await first.enqueue(new BufferElements().writable(0x8000, 8), "a");
  first.notify();
  side.device.context?.queues[0]?.notifier.notify();
  side.device.context?.configChanged();
  driver.config.read64(0);
  driver.config.write16(8, 7);
  await driver.destroyQueue(first);
  await driver.createQueue(0, { size: 8 });
  driver.transport.sharedMemory(0);
  await driver.close();
}

describe("the registers, as our driver uses them (4.2.2)", () => {
  it("are those of the table, each in its direction [mmio.driver.mmio-device-register-layout.1]", async () => {
    const side = new DriverSide();
    await life(side);
    for (const { write, offset } of control(side)) {
      expect([...(write ? WRITE_ONLY : READ_ONLY), ...BOTH]).toContain(offset);
    }
    for (const { offset, width } of side.accesses) expect(offset + width).toBeLessThanOrEqual(0x100 + 24);
  });

  it("are accessed by 32 bits, aligned [mmio.driver.mmio-device-register-layout.2]", async () => {
    const side = new DriverSide();
    await life(side);
    for (const { offset, width } of control(side)) expect([offset % 4, width]).toEqual([0, 4]);
  });

  it("are followed by configuration space, accessed by its fields' widths [mmio.driver.mmio-device-register-layout.3]", async () => {
    const side = new DriverSide();
    const driver = await side.start();
    side.device.config.bytes.set([1, 2, 3, 4, 5, 6, 7, 8]);
    side.accesses.length = 0;
    driver.config.read8(3);
    driver.config.read16(2);
    driver.config.write32(8, 1);
    expect(driver.config.read64(0)).toBe(0x0807_0605_0403_0201n);
    const config = side.accesses.filter(({ offset }) => offset >= 0x100);
    expect(config.map(({ offset, width }) => [offset, width])).toEqual([
      [0x103, 1],
      [0x102, 2],
      [0x108, 4],
      [0x100, 4],
      [0x104, 4],
    ]);
    expect(() => driver.config.read32(2)).toThrow(expect.objectContaining({ code: "invalid" }));
  });

  it("have the page selected before features are read [mmio.driver.mmio-device-register-layout.7], and before they are written [mmio.driver.mmio-device-register-layout.8]", async () => {
    const side = new DriverSide({}, new FlexibleDevice({ deviceType: 4, features: feature(3, 52) }));
    const driver = await side.start({ wanted: feature(3, 52) });
    expect(driver.features & feature(3, 52)).toBe(feature(3, 52));
    const ofFeatures = control(side).filter(({ offset }) => offset >= 0x10 && offset < 0x28);
    expect(
      ofFeatures.map(({ offset, value }) => (offset === 0x14 || offset === 0x24 ? [offset, value] : [offset])),
    ).toEqual([[0x14, 0], [0x10], [0x14, 1], [0x10], [0x24, 0], [0x20], [0x24, 1], [0x20]]);
  });

  it("get sizes of queues up to QueueSizeMax [mmio.driver.mmio-device-register-layout.9]", async () => {
    const side = new DriverSide();
    side.onRead = ({ offset, value }) => (offset === 0x034 && value === 32 ? 48 : value);
    const driver = await DriverDevice.open(side.connect(), side.host);
    await driver.negotiate();
    await driver.createQueue(0, { size: 1024 });
    await driver.createQueue(1);
    expect(side.written(0x038)).toEqual([16, 32]);
  });

  it("of a queue that is ready are left alone [mmio.driver.mmio-device-register-layout.10]", async () => {
    const side = new DriverSide();
    const driver = await side.start();
    side.accesses.length = 0;
    const areas = { size: 4, descriptorArea: 0x1000, driverArea: 0x2000, deviceArea: 0x3000 };
    await expect(driver.transport.enableQueue(0, areas)).rejects.toMatchObject({ code: "queue-unavailable" });
    expect(control(side).map(({ offset }) => offset)).toEqual([0x030, 0x044]);
    side.accesses.length = 0;
    const again = await side.start();
    let ready = [false, false];
    let selected = 0;
    for (const { write, offset, value } of control(side)) {
      if (write && offset === 0x070 && value === 0) ready = [false, false];
      if (write && offset === 0x030) selected = value;
      if (write && offset === 0x044) ready[selected] = value !== 0;
      else if (SET_UP.includes(offset)) expect(ready[selected]).toBe(false);
    }
    await again.close();
  });

  it("have QueueReady written and read back to stop a queue [mmio.driver.mmio-device-register-layout.11]", async () => {
    const side = new DriverSide();
    const driver = await side.start({ without: feature(40) });
    side.accesses.length = 0;
    let reads = 0;
    side.onRead = ({ offset, value }) => (offset === 0x044 && ++reads < 4 ? 1 : value);
    await driver.transport.resetQueue(1);
    expect(reads).toBe(4);
    expect(side.written(0x044)).toEqual([0]);
    expect(side.written(0x0c0)).toEqual([]);
  });

  it("have QueueReset read 0 before a queue's reset is done [mmio.driver.mmio-device-register-layout.14] [basic.driver.virtqueue-reset.1]", async () => {
    const side = new DriverSide();
    const driver = await DriverDevice.open(side.connect(), side.host);
    await driver.negotiate();
    const queue = await driver.createQueue(0);
    await driver.start();
    let done = (): void => {};
    (side.device as FlexibleDevice).stopPromise = new Promise((resolve) => {
      done = resolve;
    });
    let reads = 0;
    side.onRead = ({ offset, value }) => {
      if (offset === 0x0c0 && ++reads === 3) done();
      return value;
    };
    await driver.destroyQueue(queue);
    expect(side.written(0x0c0)).toEqual([1]);
    expect(reads).toBeGreaterThan(3);
    expect(side.host.dma.allocated).toBe(0);
  });

  it("never ending a queue's reset do not hang their driver", async () => {
    const side = new DriverSide();
    const driver = await side.start();
    side.onRead = ({ offset, value }) => (offset === 0x0c0 ? 1 : value);
    await expect(driver.transport.resetQueue(0)).rejects.toMatchObject({ code: "timeout" });
    expect(side.clock.time).toBeLessThan(6000);
  });

  it("have a queue made ready again, at another place and of another size [mmio.driver.mmio-device-register-layout.15] [mmio.driver.mmio-device-register-layout.16]", async () => {
    const side = new DriverSide();
    const driver = await DriverDevice.open(side.connect(), side.host);
    await driver.negotiate();
    const queue = await driver.createQueue(0);
    await driver.start();
    await driver.destroyQueue(queue);
    side.host.dma.allocate(64, 16); // so that it can't be where it was
    side.accesses.length = 0;
    const again = await driver.createQueue(0, { size: 8 });
    expect([side.written(0x038), side.written(0x080), side.written(0x044)]).toEqual([[8], [0x1040], [1]]);
    await again.enqueue(new BufferElements().writable(0x8000, 8), "a");
    again.notify();
    expect(side.device.events.at(-1)).toBe("notify 0");
  });

  it("carry queues' areas in two halves, above 4 GiB too", async () => {
    const side = new DriverSide();
    const transport = side.connect();
    side.onRead = ({ offset, value }) => (offset === 0x044 ? Number(side.written(0x044).length > 0) : value);
    const [descriptorArea, driverArea, deviceArea] = [0x12_3456_7890, 0x45_0000_1000, 0x67_0000_2000];
    await transport.enableQueue(0, { size: 4, descriptorArea, driverArea, deviceArea });
    expect([0x080, 0x084, 0x090, 0x094, 0x0a0, 0x0a4].map((at) => side.written(at)[0])).toEqual([
      0x3456_7890, 0x12, 0x1000, 0x45, 0x2000, 0x67,
    ]);
  });

  it("are left alone after a reset until it is done [mmio.driver.device-initialization.4]", async () => {
    const side = new DriverSide();
    let reads = 0;
    side.onRead = ({ offset, value }) => (offset === 0x070 && ++reads < 5 ? 15 : value);
    await side.start();
    expect(side.written(0x070)).toEqual([0, 1, 3, 11, 15]);
    const statuses = control(side).filter(({ offset }) => offset === 0x070);
    expect(statuses.findIndex(({ write, value }) => write && value === 1)).toBe(7);
  });

  it("notify by a queue's index, or with its position", async () => {
    for (const [options, expected] of [
      [{}, 1],
      [{ transportFeatures: feature(38) }, 0x0003_0001],
    ] as const) {
      const side = new DriverSide(options);
      const driver = await DriverDevice.open(side.connect(), side.host);
      await driver.negotiate();
      const queue = await driver.createQueue<number>(1);
      await driver.start();
      for (let i = 0; i < 3; i++) await queue.enqueue(new BufferElements().writable(0x8000, 4), i);
      queue.notify();
      expect(side.written(0x050)).toEqual([expected]);
    }
  });

  it("can't carry NOTIF_CONFIG_DATA, which is not accepted", () => {
    const side = new DriverSide();
    let page = 0;
    side.onWrite = ({ offset, value }) => {
      if (offset === 0x014) page = value;
      return true;
    };
    side.onRead = ({ offset, value }) => (offset === 0x010 && page === 1 ? value | 0x80 : value);
    expect(side.connect().readFeatures() & feature(39)).toBe(0n);
    expect(side.connect().readFeatures() & feature(32)).toBe(feature(32));
  });
});

describe("interrupts (4.2.3.4)", () => {
  async function listen(side: DriverSide): Promise<[DriverDevice, string[]]> {
    const told: string[] = [];
    const driver = await DriverDevice.open(side.connect(), side.host);
    await driver.negotiate();
    await driver.bindInterrupts(2);
    driver.onConfigChange = () => void told.push("config");
    for (const index of [0, 1]) await driver.createQueue(index, { onUsed: () => void told.push(`queue ${index}`) });
    await driver.start();
    side.accesses.length = 0;
    return [driver, told];
  }

  it("have InterruptStatus read [mmio.driver.notifications-from-the-device.1], and mean every queue [mmio.driver.notifications-from-the-device.2]", async () => {
    const side = new DriverSide();
    const [, told] = await listen(side);
    side.device.context?.queues[1]?.notifier.notify();
    expect(told).toEqual(["queue 0", "queue 1"]);
    expect(side.accesses.filter(({ offset }) => offset === 0x060).length).toBe(1);
    side.device.context?.configChanged();
    expect(told).toEqual(["queue 0", "queue 1", "config"]);
  });

  it("are acknowledged: the bits that were handled, and no others [mmio.driver.notifications-from-the-device.3] [mmio.driver.mmio-device-register-layout.13]", async () => {
    const side = new DriverSide();
    await listen(side);
    side.device.context?.queues[1]?.notifier.notify();
    side.device.context?.configChanged();
    expect(side.written(0x064)).toEqual([1, 2]);
    expect(side.host.lines.stuck).toBe(0);
    side.onRead = ({ offset, value }) => (offset === 0x060 ? value | 0xffff_fffc : value);
    side.device.context?.queues[1]?.notifier.notify();
    expect(side.written(0x064)).toEqual([1, 2, 1]);
  });

  it("with bits that are not defined mean nothing by them [mmio.driver.mmio-device-register-layout.12]", async () => {
    const side = new DriverSide();
    const [driver, told] = await listen(side);
    side.onRead = ({ offset, value }) => (offset === 0x060 ? 0xffff_fffc : value);
    expect(driver.transport.readIsr()).toBe(0);
    side.host.lines.setLevel(7, true);
    expect(told).toEqual([]);
    expect(side.written(0x064)).toEqual([]);
  });

  it("end with the driver", async () => {
    const side = new DriverSide();
    const [driver, told] = await listen(side);
    await driver.close();
    side.host.lines.setLevel(7, true);
    expect(told).toEqual([]);
  });
});

describe("shared memory (4.2.2)", () => {
  it("is found by its ids", () => {
    const backing = new MemoryRegion(0x40_0000_0000, new Uint8Array(0x2000));
    const regions = [{ id: 5, offset: 0x1000, length: 0x800 }];
    const sharedMemory = { guestAddress: 0x40_0000_0000, length: 0x2000, backing, regions };
    const transport = new DriverSide({ sharedMemory }).connect();
    expect(transport.sharedMemory(5)).toEqual({ address: 0x40_0000_1000, length: 0x800 });
    expect(transport.sharedMemory(4)).toBeNull();
  });

  it.each([
    ["a length", 0x0b4],
    ["an address", 0x0bc],
  ])("is none where it has %s of 2^53 or more", (_, high) => {
    const backing = new MemoryRegion(0x40_0000_0000, new Uint8Array(0x2000));
    const regions = [{ id: 5, offset: 0x1000, length: 0x800 }];
    const side = new DriverSide({ sharedMemory: { guestAddress: 0x40_0000_0000, length: 0x2000, backing, regions } });
    side.onRead = ({ offset, value }) => (offset === high ? 0x20_0000 : value);
    expect(side.connect().sharedMemory(5)).toBeNull();
  });

  it("is not looked for by drivers that expect none [mmio.driver.device-initialization.3]", async () => {
    const side = new DriverSide();
    await (await side.start()).close();
    for (const { offset } of side.accesses) expect(offset >= 0x0ac && offset < 0x0c0).toBe(false);
  });
});

describe("version 1 (4.2.4)", () => {
  const legacy = () =>
    new DriverSide(
      { version: 1 },
      new RecordingDevice({ deviceType: 4, queues: [16, 8], configSize: 12, features: 0x21n }),
    );

  it("is brought up by page size, alignment and pages, without FEATURES_OK", async () => {
    const side = legacy();
    const driver = await side.start({ wanted: feature(0) });
    expect(side.written(0x070)).toEqual([0, 1, 3, 7]);
    expect(side.written(0x028)).toEqual([4096]);
    expect(side.written(0x03c)).toEqual([4096, 4096]);
    expect(side.written(0x038)).toEqual([16, 8]);
    expect(side.written(0x040)).toEqual([1, 3]);
    expect(driver.has(0)).toBe(true);
    expect(driver.transport.configGeneration()).toBeNull();
    expect(driver.transport.sharedMemory(0)).toBeNull();
    expect(side.device.events).toContain("activate");
    await driver.close();
    expect(side.host.dma.allocated).toBe(0);
  });

  it("has its queues taken back by page 0", async () => {
    const side = legacy();
    const driver = await DriverDevice.open(side.connect(), side.host);
    await driver.negotiate();
    const queue = await driver.createQueue(0, { size: 8 });
    expect(queue.size).toBe(8);
    await driver.destroyQueue(queue);
    expect(side.written(0x040)).toEqual([1, 0]);
    expect(side.host.dma.allocated).toBe(0);
  });

  it("has queues below 2^44, at whole pages, and not at 0", async () => {
    const transport = legacy().connect();
    expect(transport.legacyPlacement).toEqual({ align: 4096, limit: 2 ** 44, fixedSize: false });
    for (const descriptorArea of [0, 0x1001, 2 ** 44]) {
      const areas = { size: 16, descriptorArea, driverArea: 0, deviceArea: 0 };
      await expect(transport.enableQueue(0, areas)).rejects.toMatchObject({ code: "address-range", errno: "EFAULT" });
    }
  });

  it("interrupts, and is acknowledged", async () => {
    const side = legacy();
    const driver = await DriverDevice.open(side.connect(), side.host);
    await driver.negotiate();
    await driver.bindInterrupts(1);
    let told = 0;
    await driver.createQueue(0, { onUsed: () => void told++ });
    await driver.start();
    side.device.context?.queues[0]?.notifier.notify();
    expect(told).toBe(1);
    expect(side.written(0x064)).toEqual([1]);
  });
});
