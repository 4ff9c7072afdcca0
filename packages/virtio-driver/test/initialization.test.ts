import { feature, VIRTIO_F_VERSION_1 } from "@virtio-ts/virtio-bindings";
import { BufferElements } from "@virtio-ts/virtio-queue";
import { describe, expect, it } from "vitest";
import { DriverDevice } from "../src/index.ts";
import { MockTransport } from "./support/mock-transport.ts";
import { QueueDevice } from "./support/queue-device.ts";

const VERSION_1 = feature(VIRTIO_F_VERSION_1);

async function start(transport: MockTransport): Promise<DriverDevice> {
  const device = await DriverDevice.open(transport, transport.host);
  await device.negotiate();
  await device.bindInterrupts(1);
  await device.createQueue(0);
  await device.start();
  return device;
}

describe("the order of initialization", () => {
  it("is reset, ACKNOWLEDGE, DRIVER, features, FEATURES_OK, queues, DRIVER_OK [basic.driver.device-initialization.1] [basic.driver.device-status-field.1]", async () => {
    const transport = new MockTransport();
    await start(transport);
    expect(transport.log).toEqual([
      "reset",
      "status 1",
      "status 3",
      "features 0x100000000",
      "status 11",
      "bind 1",
      "enable 0",
      "status 15",
    ]);
  });

  it("knows no FEATURES_OK on a legacy interface [basic.legacy.both.legacy-interface-device-initialization.1] [basic.legacy.both.legacy-interface-a-note-on-feature-bits.4]", async () => {
    const transport = new MockTransport({ legacy: true, offered: feature(0, 28) });
    await start(transport);
    expect(transport.log).toEqual([
      "reset",
      "status 1",
      "status 3",
      "features 0x10000000",
      "bind 1",
      "enable 0",
      "status 7",
    ]);
    expect(transport.areas.get(0)).toEqual({
      size: 8,
      descriptorArea: 0x1000,
      driverArea: 0x1080,
      deviceArea: 0x2000,
    });
  });

  it("clears no status bit that is set [basic.driver.device-status-field.2]", async () => {
    const transport = new MockTransport();
    transport.onWriteStatus = (status) => (status === 0 ? 0 : status | 0x20);
    await start(transport);
    expect(transport.log.filter((entry) => entry.startsWith("status"))).toEqual([
      "status 1",
      "status 35",
      "status 43",
      "status 47",
    ]);
  });

  it("sends no notification before DRIVER_OK, and sends it then [basic.driver.device-initialization.6]", async () => {
    const transport = new MockTransport();
    const device = await DriverDevice.open(transport, transport.host);
    await device.negotiate();
    const queue = await device.createQueue<number>(0);
    await queue.enqueue(new BufferElements().writable(0x8000, 16), 1);
    queue.notify();
    expect(transport.log).not.toContain("notify 0");
    await device.start();
    expect(transport.log.slice(-2)).toEqual(["status 15", "notify 0"]);
  });

  it("writes no configuration space before features are negotiated [basic.driver.device-initialization.2]", async () => {
    const transport = new MockTransport();
    const device = await DriverDevice.open(transport, transport.host);
    expect(device.config.read8(0)).toBe(0);
    expect(() => device.config.write8(0, 1)).toThrow(expect.objectContaining({ code: "invalid" }));
    await device.negotiate();
    device.config.write8(0, 1);
    expect(transport.config[0]).toBe(1);
  });

  it("has features negotiated once [basic.driver.device-initialization.3]", async () => {
    const transport = new MockTransport({ offered: VERSION_1 | feature(0) });
    const device = await DriverDevice.open(transport, transport.host);
    await device.negotiate();
    await expect(device.negotiate({ wanted: feature(0) })).rejects.toMatchObject({ code: "invalid" });
    expect(transport.accepted).toBe(VERSION_1);
  });

  it("creates no queue before features are negotiated, and starts no device twice", async () => {
    const transport = new MockTransport();
    const device = await DriverDevice.open(transport, transport.host);
    await expect(device.createQueue(0)).rejects.toMatchObject({ code: "invalid" });
    await expect(device.start()).rejects.toMatchObject({ code: "invalid" });
    await device.negotiate();
    await device.start();
    await expect(device.start()).rejects.toMatchObject({ code: "invalid" });
  });

  it("holds a reset to be done when the status reads 0 [basic.driver.device-reset.1]", async () => {
    const transport = new MockTransport();
    let reads = 0;
    transport.onReadStatus = (status) => (status === 0 && ++reads < 4 ? 15 : status);
    await DriverDevice.open(transport, transport.host);
    expect(reads).toBeGreaterThanOrEqual(4);
    expect(transport.clock.sleeps).toBe(3);
  });
});

describe("a device that is given up", () => {
  it("is told FAILED, and goes no further, when it lacks what the driver can't do without [basic.driver.device-initialization.4] [basic.driver.device-initialization.5] [basic.driver.feature-bits.4]", async () => {
    const transport = new MockTransport();
    const device = await DriverDevice.open(transport, transport.host);
    await expect(device.negotiate({ required: feature(5) })).rejects.toMatchObject({ code: "not-supported" });
    expect(transport.status & 0x80).toBe(0x80);
    const { log } = transport;
    const length = log.length;
    await expect(device.createQueue(0)).rejects.toMatchObject({ code: "not-supported" });
    await expect(device.start()).rejects.toMatchObject({ code: "not-supported" });
    expect(log.length).toBe(length);
  });

  it("is told FAILED when it does not keep FEATURES_OK", async () => {
    const transport = new MockTransport();
    transport.onWriteStatus = (status) => status & ~8;
    const device = await DriverDevice.open(transport, transport.host);
    const refused = await device.negotiate().catch((cause: unknown) => cause);
    expect(refused).toMatchObject({ code: "features-refused", errno: "ENOTSUP" });
    expect(transport.status).toBe(0x83);
  });

  it("is reset before it is tried again [basic.driver.device-status-field.3]", async () => {
    const transport = new MockTransport();
    transport.offered = 0n;
    const device = await DriverDevice.open(transport, transport.host);
    await expect(device.negotiate()).rejects.toMatchObject({ code: "no-version-1", errno: "EFAULT" });
    expect(transport.status).toBe(0x83);
    transport.offered = VERSION_1;
    transport.log.length = 0;
    await start(transport);
    expect(transport.log[0]).toBe("reset");
    expect(transport.status).toBe(15);
  });

  it("answers nothing any more once it asks for a reset [basic.driver.device-status-field.4]", async () => {
    const transport = new MockTransport();
    const device = await DriverDevice.open(transport, transport.host);
    await device.negotiate();
    await device.bindInterrupts(1);
    const queue = await device.createQueue<number>(0, { size: 1 });
    await device.start();
    const elements = new BufferElements().writable(0x8000, 16);
    await queue.enqueue(elements, 1);
    const waiting = queue.enqueue(elements, 2);
    const failures: string[] = [];
    device.onFailure = (cause) => void failures.push(cause.code);
    transport.status |= 0x40;
    transport.interrupts?.configChanged();
    await expect(waiting).rejects.toMatchObject({ code: "needs-reset" });
    await expect(queue.enqueue(elements, 3)).rejects.toMatchObject({ code: "needs-reset" });
    expect(failures).toEqual(["needs-reset"]);
    expect(transport.status & 0x80).toBe(0x80);
    transport.log.length = 0;
    queue.notify();
    expect(transport.log).toEqual([]);
  });

  it("is given up when it does not come to life", async () => {
    const transport = new MockTransport();
    transport.onWriteStatus = (status) => ((status & 4) !== 0 ? (status & ~4) | 0x40 : status);
    const device = await DriverDevice.open(transport, transport.host);
    await device.negotiate();
    await expect(device.start()).rejects.toMatchObject({ code: "needs-reset" });
    expect(device.live).toBe(false);
  });
});

describe("the end", () => {
  it("takes buffers and memory back after a reset only [basic.driver.device-cleanup.2]", async () => {
    const transport = new MockTransport();
    const device = await DriverDevice.open(transport, transport.host);
    await device.negotiate();
    const queue = await device.createQueue<string>(0);
    await device.start();
    for (const token of ["a", "b"]) await queue.enqueue(new BufferElements().writable(0x8000, 16), token);
    expect(() => queue.reclaim()).toThrow(expect.objectContaining({ code: "invalid" }));
    let allocatedAtReset = 0;
    transport.onReadStatus = (status) => {
      if (status === 0) allocatedAtReset = transport.host.dma.allocated;
      return status;
    };
    await device.close();
    expect(allocatedAtReset).toBe(1);
    expect(transport.host.dma.allocated).toBe(0);
    expect(queue.reclaim()).toEqual(["a", "b"]);
    await device.close();
    expect(transport.log.filter((entry) => entry === "reset").length).toBe(2);
  });

  it("destroys one queue where the device can reset one, and creates it anew with another size [basic.driver.virtqueue-reset.2] [basic.driver.virtqueue-re-enable.1]", async () => {
    const transport = new MockTransport({ offered: VERSION_1 | feature(40) });
    const device = await DriverDevice.open(transport, transport.host);
    await device.negotiate();
    const first = await device.createQueue<string>(0);
    await device.start();
    await first.enqueue(new BufferElements().writable(0x8000, 16), "given");
    await device.destroyQueue(first);
    expect(transport.host.dma.allocated).toBe(0);
    expect(first.reclaim()).toEqual(["given"]);
    const again = await device.createQueue<string>(0, { size: 4 });
    expect(transport.areas.get(0)?.size).toBe(4);
    await again.enqueue(new BufferElements().writable(0x8000, 16), "anew");
    expect(new QueueDevice(transport).use(8, 16)).toBe(1);
    expect(again.dequeue()).toEqual({ token: "anew", length: 16 });
  });

  it("takes the memory of a queue back that is set up while the device is closed", async () => {
    const transport = new MockTransport();
    const device = await DriverDevice.open(transport, transport.host);
    await device.negotiate();
    let enabled = (): void => {};
    transport.enableQueue = () =>
      new Promise((resolve) => {
        enabled = resolve;
      });
    const created = device.createQueue(0);
    await device.close();
    enabled();
    await expect(created).rejects.toMatchObject({ code: "invalid" });
    expect(transport.host.dma.allocated).toBe(0);
  });

  it("destroys no queue of a device that can't reset one", async () => {
    const transport = new MockTransport();
    const device = await DriverDevice.open(transport, transport.host);
    await device.negotiate();
    const queue = await device.createQueue(0);
    await device.start();
    await expect(device.destroyQueue(queue)).rejects.toMatchObject({ code: "not-supported" });
    expect(device.failure).toBeNull();
    expect(transport.host.dma.allocated).toBe(1);
  });
});
