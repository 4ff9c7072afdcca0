/**
 * Both halves in one thread: the driver library over the driver half, over the device half.
 * @module
 */

import { feature, VIRTIO_F_EVENT_IDX, VIRTIO_F_RING_PACKED } from "@virtio-ts/virtio-bindings";
import { DEFAULT_RING_FEATURES, DeviceFault } from "@virtio-ts/virtio-device";
import { DriverDevice, DriverError, ProcessHost } from "@virtio-ts/virtio-driver";
import { GuestMemory, MemoryRegion } from "@virtio-ts/vm-memory";
import { describe, expect, it, vi } from "vitest";
import { directIpc, type L4VirtioDeviceOptions } from "../src/device/index.ts";
import { L4DriverTransport } from "../src/driver/index.ts";
import type { CmdConfigBit, L4Ipc, L4Irq } from "../src/layout/index.ts";
import { ECHO_ID, MEMORY_BASE, OTHER_BASE, type Rig, rig, roundTrip } from "./support/echo.ts";
import { RawDriver } from "./support/page.ts";

async function open(r: Rig, cmdConfigBit: CmdConfigBit = 160, ipc: L4Ipc = directIpc(r.device)): Promise<DriverDevice> {
  const transport = await L4DriverTransport.connect(ipc, r.host, { cmdConfigBit });
  const driver = await DriverDevice.open(transport, r.host);
  await driver.negotiate();
  return driver;
}

const ways: readonly [string, Partial<L4VirtioDeviceOptions>][] = [
  ["by the command field, CMD_CONFIG being bit 160", { cmdConfigBit: 160 }],
  ["by the command field, CMD_CONFIG being bit 224", { cmdConfigBit: 224 }],
  ["by IPC", { cmdConfigBit: null }],
];
const rings: readonly [string, bigint][] = [
  ["split", DEFAULT_RING_FEATURES],
  ["split without event idx", DEFAULT_RING_FEATURES & ~feature(VIRTIO_F_EVENT_IDX)],
  ["packed", DEFAULT_RING_FEATURES | feature(VIRTIO_F_RING_PACKED)],
];
const irqs: readonly [string, number][] = [
  ["an IRQ object for each queue", 3],
  ["two IRQ objects, of which the queues share one", 2],
  ["one IRQ object for all", 1],
];

const combinations = rings.flatMap(([ring, features]) =>
  irqs.map(([irq, events]) => [ring, irq, { ringFeatures: features, events }] as const),
);

describe.each(ways)("a driver that configures its device %s", (_, way) => {
  it.each(combinations)(
    "sends requests through %s queues with %s, and again after a reset",
    async (_ring, _irq, more) => {
      const r = rig({ ...way, ...more });
      for (const round of [1, 2]) {
        const driver = await open(r, way.cmdConfigBit ?? 160);
        const used = vi.fn();
        await driver.bindInterrupts(2);
        await driver.createQueue(0, { onUsed: used });
        expect(await roundTrip(driver, 1, [round, 2, 3])).toEqual([0xff - round, 0xfd, 0xfc]);
        // Queues that share an IRQ object are all told.
        expect(used.mock.calls.length).toBe(more.events < 3 ? 1 : 0);
        await driver.close();
        expect(r.device.core.status).toBe(0);
      }
      expect(r.device.core.counters).toMatchObject({ activations: 2, faults: 0 });
    },
  );

  it("takes a queue back and gives it again while the device is live", async () => {
    const r = rig(way);
    const driver = await open(r, way.cmdConfigBit ?? 160);
    await driver.bindInterrupts(2);
    const queue = await driver.createQueue(0, { size: 8 });
    await driver.start();
    let done = (): void => {};
    r.echo.queueResetting = new Promise((resolve) => {
      done = resolve;
    });
    const destroyed = driver.destroyQueue(queue);
    for (let turn = 0; turn < 100; turn++) await null;
    expect(r.device.core.queues[0]).toMatchObject({ enabled: false, resetting: true });
    done();
    await destroyed;
    expect(r.device.core.queues[0].resetting).toBe(false);
    expect(await roundTrip(driver, 0, [1])).toEqual([0xfe]);
  });

  it("suspends it and has it go on", async () => {
    const r = rig(way);
    const driver = await open(r, way.cmdConfigBit ?? 160);
    expect(await roundTrip(driver, 0, [1])).toEqual([0xfe]);
    await driver.suspend();
    expect(driver.transport.readStatus()).toBe(0x1b);
    await driver.resume();
    r.scheduler.run();
    expect(driver.transport.readStatus()).toBe(0x0f);
    expect(await roundTrip(driver, 1, [2])).toEqual([0xfd]);
  });

  it("waits for a reset that takes time, but not for ever", async () => {
    const r = rig(way);
    const driver = await open(r, way.cmdConfigBit ?? 160);
    await driver.start();
    r.echo.resetting = new Promise(() => {});
    await expect(driver.close()).rejects.toMatchObject({ name: "DriverError", code: "timeout" });
    expect(r.clock.time).toBeGreaterThanOrEqual(5000);
  });
});

describe("the driver half", () => {
  it("knows the device, its features and its queues", async () => {
    const r = rig({}, [8, 32]);
    const transport = await L4DriverTransport.connect(directIpc(r.device), r.host);
    expect(transport).toMatchObject({ kind: "l4", deviceType: ECHO_ID, legacy: false, legacyPlacement: null });
    expect(transport.readFeatures()).toBe(r.device.core.features.offered);
    expect([0, 1, 2, 65535].map((index) => transport.queueMaxSize(index))).toEqual([8, 32, 0, 0]);
    const raw = new RawDriver(r.device);
    raw.page.storeReady(raw.entryAt(2), 1); // there is no such entry
    expect([0, 2].map((index) => transport.queueEnabled(index))).toEqual([false, false]);
    expect([transport.readIsr(), transport.sharedMemory()]).toEqual([0, null]);
  });

  it("gives the device all of the host's memory, where the host has it", async () => {
    const r = rig();
    await L4DriverTransport.connect(directIpc(r.device), r.host);
    const { memory } = r.device.core;
    expect(memory.regions.map(({ start, size }) => [start, size])).toEqual([
      [MEMORY_BASE, 0x10000],
      [OTHER_BASE, 0x1000],
    ]);
    r.host.memory.writeU32(OTHER_BASE + 8, 0x1234);
    expect(memory.readU32(OTHER_BASE + 8)).toBe(0x1234);
  });

  it("places queues in memory above 4 GiB", async () => {
    const r = rig();
    const memory = new GuestMemory([new MemoryRegion(0x12_3456_0000, new Uint8Array(0x10000))]);
    const driver = await open({ ...r, host: new ProcessHost(memory, { clock: r.clock }) });
    expect(await roundTrip(driver, 0, [1])).toEqual([0xfe]);
  });

  it("takes over a device that another driver has left live", async () => {
    const r = rig();
    const first = await open(r);
    expect(await roundTrip(first, 0, [1])).toEqual([0xfe]);
    const second = await open(r);
    expect(await roundTrip(second, 0, [2])).toEqual([0xfd]);
  });

  it("reads the device's configuration by any width", async () => {
    const r = rig();
    r.echo.config.bytes.set([1, 2, 3, 4, 5, 6, 7, 0x88], 4);
    const { transport } = await open(rigWithFreshPage(r));
    expect(transport.configSize).toBe(16);
    expect([4, 5, 6, 7].map((at) => transport.readConfig(at, 1))).toEqual([1, 2, 3, 4]);
    expect([transport.readConfig(4, 2), transport.readConfig(10, 2)]).toEqual([0x0201, 0x8807]);
    expect([transport.readConfig(4, 4), transport.readConfig(8, 4)]).toEqual([0x04030201, 0x88070605]);
  });

  it("writes it by any width, and tells the device, one command after the other", async () => {
    const r = rig();
    const direct = directIpc(r.device);
    const late = async (index: number): Promise<L4Irq> => {
      const irq = await direct.deviceNotificationIrq(index);
      if (typeof irq === "number") throw new Error("no IRQ object");
      return { trigger: () => void r.clock.sleep(0).then(() => irq.trigger()) };
    };
    const { transport } = await open(r, 160, { ...direct, deviceNotificationIrq: late });
    const { page } = new RawDriver(r.device);
    transport.writeConfig(0, 4, 0x8443_2211);
    transport.writeConfig(1, 1, 0xaa);
    await transport.writeStatus(transport.readStatus());
    transport.writeConfig(6, 2, 0xf00d);
    await null;
    expect(page.load(0x7c)).toBe(0x0400_0004); // which word it is
    await transport.writeStatus(transport.readStatus());
    expect([...r.echo.config.bytes.subarray(0, 8)]).toEqual([0x11, 0xaa, 0x43, 0x84, 0, 0, 0x0d, 0xf0]);
  });

  it("can't write it where the device takes no commands, and says so", async () => {
    const { transport } = await open(rig({ cmdConfigBit: null }));
    expect(() => transport.writeConfig(0, 1, 1)).toThrow(
      expect.objectContaining({ name: "DriverError", code: "not-supported" }),
    );
  });

  it.each([1, 2, 3])(
    "is told of a change of the configuration, and sees it by the generation, with %d IRQ objects",
    async (events) => {
      const r = rig({ events });
      const driver = await open(r);
      driver.onConfigChange = vi.fn();
      await driver.bindInterrupts(2);
      await driver.start();
      const before = driver.transport.configGeneration();
      r.echo.config.view.setUint32(8, 77, true);
      r.echo.context?.configChanged();
      expect(driver.onConfigChange).toHaveBeenCalledTimes(1);
      expect(driver.config.read32(8)).toBe(77);
      expect(driver.transport.configGeneration()).not.toBe(before);
    },
  );

  it.each([1, 2, 3])("is not told of changes by requests that were used, with %d IRQ objects", async (events) => {
    const r = rig({ events });
    const driver = await open(r);
    driver.onConfigChange = vi.fn();
    await driver.bindInterrupts(2);
    await roundTrip(driver, 0, [1]);
    expect(driver.onConfigChange).not.toHaveBeenCalled();
  });

  it.each([1, 3])("is told when the device asks for a reset, with %d IRQ objects", async (events) => {
    const r = rig({ events });
    const driver = await open(r);
    const failed = vi.fn();
    driver.onFailure = failed;
    await driver.bindInterrupts(2);
    await driver.start();
    r.device.core.fail(new DeviceFault("device-error", "it broke"));
    expect(failed).toHaveBeenCalledWith(expect.objectContaining({ name: "DriverError", code: "needs-reset" }));
  });

  it.each([
    [1, [0, 1, 2]],
    [2, [0, 1, 2]],
    [3, [0, 2]],
    [4, [0]],
  ])("tells of each queue that shares an IRQ object, with %d of them, and of no other", async (events, queues) => {
    const r = rig({ events }, [8, 8, 8]);
    const driver = await open(r);
    const used = vi.fn();
    await driver.transport.bindInterrupts({ used, configChanged: () => {} }, 3);
    await driver.createQueue(0);
    await driver.start();
    r.echo.context?.queues[0]?.notifier.notify();
    expect(used.mock.calls).toEqual(queues.map((queue) => [queue]));
  });

  it("has a queue tell by an IRQ object that is bound where the device says that it takes two and a half", async () => {
    const r = rig();
    const driver = await open(r, 160, { ...directIpc(r.device), icuInfo: async () => 2.5 });
    const used = vi.fn();
    await driver.transport.bindInterrupts({ used, configChanged: () => {} }, 2);
    await driver.createQueue(1);
    await driver.start();
    r.echo.context?.queues[1]?.notifier.notify();
    expect(used).toHaveBeenCalledWith(1);
  });

  it("knows a device that has no queues: there was no room for them", async () => {
    const r = rig({}, Array(96).fill(8));
    const transport = await L4DriverTransport.connect(directIpc(r.device), r.host);
    expect([transport.queueMaxSize(0), transport.configSize]).toEqual([0, 4096 - 256]);
  });

  it("tells nobody after the interrupts were let go", async () => {
    const r = rig();
    const { transport } = await open(r);
    const told = { used: vi.fn(), configChanged: vi.fn() };
    await transport.bindInterrupts(told, 2);
    transport.unbindInterrupts();
    await transport.writeStatus(15);
    r.echo.context?.configChanged();
    expect(told.configChanged).not.toHaveBeenCalled();
  });

  it("does not enable a queue twice, nor one that is not there", async () => {
    const { transport } = await open(rig());
    const areas = {
      size: 8,
      descriptorArea: MEMORY_BASE,
      driverArea: MEMORY_BASE + 0x100,
      deviceArea: MEMORY_BASE + 0x200,
    };
    await transport.enableQueue(0, areas);
    await expect(transport.enableQueue(0, areas)).rejects.toMatchObject({ code: "queue-unavailable" });
    await expect(transport.enableQueue(2, areas)).rejects.toMatchObject({ code: "queue-unavailable" });
    await expect(transport.resetQueue(2)).rejects.toMatchObject({ code: "queue-unavailable" });
  });

  it.each(ways)("says that a queue was refused that the device was told of %s", async (_, way) => {
    const { transport } = await open(rig(way), way.cmdConfigBit ?? 160);
    const areas = { size: 8, descriptorArea: 0, driverArea: 0x100, deviceArea: 0x200 };
    await expect(transport.enableQueue(0, areas)).rejects.toMatchObject({ name: "DriverError", code: "refused" });
  });

  it.each(ways)(
    "says that a queue can't be taken back of a device that can't let go of it, told %s",
    async (_, way) => {
      const r = rig(way);
      Object.assign(r.echo, { stopQueue: undefined });
      const transport = await L4DriverTransport.connect(directIpc(r.device), r.host, {
        cmdConfigBit: way.cmdConfigBit ?? 160,
      });
      const driver = await DriverDevice.open(transport, r.host);
      await driver.negotiate({ without: feature(40) });
      await roundTrip(driver, 0, [1]);
      await expect(transport.resetQueue(0)).rejects.toMatchObject({ name: "DriverError", code: "not-supported" });
    },
  );

  it("says that a queue was not taken back where the device answers so, whatever its entry shows", async () => {
    const r = rig({ cmdConfigBit: null });
    const { transport } = await open(r, 160, { ...directIpc(r.device), configQueue: async () => -5 });
    await expect(transport.resetQueue(0)).rejects.toMatchObject({ name: "DriverError", code: "not-supported" });
  });

  it("says that an IRQ object of its own was refused", async () => {
    const r = rig();
    const { transport } = await open(r, 160, { ...directIpc(r.device), icuBind: async () => -34 });
    const bound = transport.bindInterrupts({ used: () => {}, configChanged: () => {} }, 2);
    await expect(bound).rejects.toMatchObject({ name: "DriverError", code: "refused" });
  });

  it("says that the device took too little memory", async () => {
    const r = rig({ maxDataspaces: 1 });
    await expect(L4DriverTransport.connect(directIpc(r.device), r.host)).rejects.toMatchObject({ code: "no-memory" });
  });
});

describe("the driver half, with what is no device", () => {
  const broken = async (change: (words: Uint32Array) => void): Promise<unknown> => {
    const r = rig();
    const { dataspace } = r.device.deviceConfig();
    change(new Uint32Array(dataspace.buffer));
    return L4DriverTransport.connect(directIpc(r.device), r.host).then(
      () => "connected",
      (cause: { code: string }) => cause.code,
    );
  };

  it.each([
    ["another magic number", 0x00, 0x74726977, "bad-device"],
    ["version 1", 0x04, 1, "not-supported"],
    ["version 3", 0x04, 3, "not-supported"],
    ["device id 0", 0x08, 0, "bad-device"],
    ["queue entries in the header", 0x2c, 0xf8, "bad-device"],
    ["queue entries past the page", 0x2c, 0xfc0, "bad-device"],
    ["misaligned queue entries", 0x2c, 0x114, "bad-device"],
    ["more queues than fit the page", 0x28, 0xffff_ffff, "bad-device"],
    ["an IRQ object for commands that is not there", 0x78, 99, "refused"],
    ["nothing wrong at all", 0x00, 0x74726976, "connected"],
  ])("stops at %s", async (_, at, value, code) => {
    expect(await broken((words) => words.fill(value, at / 4, at / 4 + 1))).toBe(code);
  });

  it.each([
    ["end with the page", 4096 - 40],
    ["begin with the device configuration, which is empty then", 0x100],
  ])("takes queue entries that %s", async (_, offset) => {
    const outcome = await broken((words) => {
      words[0x28 / 4] = 1;
      words[0x2c / 4] = offset;
    });
    expect(outcome).toBe("connected");
  });

  it.each([
    ["too small", { dataspace: new Uint8Array(4000), offset: 0 }],
    ["misaligned", { dataspace: new Uint8Array(8192), offset: 4 }],
    ["beyond its dataspace", { dataspace: new Uint8Array(8192), offset: 8192 }],
  ])("stops at a page that is %s", async (_, location) => {
    const r = rig();
    const ipc = { ...directIpc(r.device), deviceConfig: async () => location };
    await expect(L4DriverTransport.connect(ipc, r.host)).rejects.toMatchObject({ code: "bad-device" });
  });

  it("gives up a command that is never done", async () => {
    const r = rig();
    const ipc = { ...directIpc(r.device), deviceNotificationIrq: async () => ({ trigger: () => {} }) };
    await expect(L4DriverTransport.connect(ipc, r.host)).rejects.toMatchObject({
      name: "DriverError",
      code: "timeout",
    });
  });

  it("passes on why an operation failed", async () => {
    const r = rig();
    const cause = new DriverError("bad-device", "what answers is no device");
    const ipc = { ...directIpc(r.device), deviceConfig: () => Promise.reject(cause) };
    await expect(L4DriverTransport.connect(ipc, r.host)).rejects.toBe(cause);
  });

  it("gives up an operation that is never answered", async () => {
    const r = rig();
    const ipc = { ...directIpc(r.device), registerDs: () => new Promise<never>(() => {}) };
    await expect(L4DriverTransport.connect(ipc, r.host)).rejects.toMatchObject({
      name: "DriverError",
      code: "timeout",
    });
  });

  it("is told that the device is gone, and says so from then on", async () => {
    const r = rig();
    let gone = (_: string): void => {};
    const ipc = {
      ...directIpc(r.device),
      onGone: (handler: (reason: string) => void) => {
        gone = handler;
      },
    };
    const driver = await open(r, 160, ipc);
    const failed = vi.fn();
    driver.onFailure = failed;
    await driver.bindInterrupts(2);
    await driver.start();
    gone("its thread has ended");
    expect(failed).toHaveBeenCalledWith(expect.objectContaining({ name: "DriverError", code: "device-gone" }));
    expect(driver.transport.readStatus()).toBe(0xff);
    await expect(driver.transport.writeStatus(0)).rejects.toMatchObject({
      code: "device-gone",
      message: "the device is gone: its thread has ended",
    });
    await driver.close();
  });
});

/** Has the page show what was put into the configuration behind its back. */
function rigWithFreshPage(r: Rig): Rig {
  r.device.setStatus(0);
  return r;
}
