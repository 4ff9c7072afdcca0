/**
 * What L4Re's own clients, servers and proxies do, and both halves go along with: `driver_connect` uses IRQ object 0 each
 * way for all there is, the proxy of a virtual machine forwards interrupts by `irq_status`, servers set a queue up or
 * take it back at any time, and not every device has IRQ objects to exchange.
 * @module
 */

import type { VirtioDevice } from "@virtio-ts/virtio-device";
import { ManualScheduler } from "@virtio-ts/virtio-device/testing";
import { DriverDevice } from "@virtio-ts/virtio-driver";
import { MockSplitDriver } from "@virtio-ts/virtio-queue/testing";
import { describe, expect, it, vi } from "vitest";
import { directIpc, L4VirtioDevice, type L4VirtioDeviceOptions } from "../src/device/index.ts";
import { L4DriverTransport } from "../src/driver/index.ts";
import type { L4Ipc } from "../src/layout/index.ts";
import { EchoDevice, guestMemory, MEMORY_BASE, type Rig, rig, roundTrip } from "./support/echo.ts";
import { RawDriver, VERSION_1 } from "./support/page.ts";

const IRQ_STATUS = 0x60;

/** A client by hand, up to DRIVER_OK, with a ring on each of the queues named. */
function client(queues: readonly number[], options: Partial<L4VirtioDeviceOptions> = {}) {
  const { device, echo } = rig(options, [8, 8, 8, 8]);
  const driver = new RawDriver(device, options.cmdConfigBit ?? 160);
  const memory = guestMemory();
  const heard = vi.fn();
  device.icuBind(0, { trigger: heard });
  device.setStatus(3);
  device.registerDs(memory.regions[0].u8, MEMORY_BASE, 0, 0x10000);
  driver.writeFeatures(VERSION_1);
  device.setStatus(11);
  const rings = queues.map((queue) => {
    const ring = new MockSplitDriver(memory, { size: 8, base: MEMORY_BASE + 0x2000 * queue });
    const { descriptorArea, driverArea, deviceArea } = ring.areas;
    driver.place(queue, { halves: [descriptorArea, 0, driverArea, 0, deviceArea, 0] });
    expect(device.configQueue(queue)).toBe(0);
    return ring;
  });
  device.setStatus(15);
  echo.kicks.length = 0;
  return { driver, device, echo, rings, heard };
}

function offer(ring: MockSplitDriver): void {
  ring.offer([{ bytes: Uint8Array.of(1) }, { length: 1, writable: true }]);
}

function trigger(device: L4VirtioDevice, index: number): void {
  const irq = device.deviceNotificationIrq(index);
  if (typeof irq === "number") throw new Error(`no IRQ object ${index}: ${irq}`);
  irq.trigger();
}

describe("a client that uses IRQ object 0 alone", () => {
  it.each<[string, Partial<L4VirtioDeviceOptions>]>([
    ["as many IRQ objects as there are by default", {}],
    ["one IRQ object", { events: 1 }],
    ["two", { events: 2 }],
    ["no command field", { cmdConfigBit: null }],
    ["the command field of the header before", { cmdConfigBit: 224 }],
  ])("is heard on each queue it has set up, by a device with %s", (_, options) => {
    const { device, rings, heard } = client([0, 1, 3], options);
    for (const ring of rings) offer(ring);
    trigger(device, 0);
    expect(rings.map((ring) => ring.collect())).toEqual(Array(3).fill([{ head: 0, length: 1 }]));
    expect(heard).toHaveBeenCalledTimes(3);
  });

  it("notifies no queue that it has not set up", () => {
    const { device, echo } = client([0, 3]);
    trigger(device, 0);
    expect(echo.kicks).toEqual([1, undefined, undefined, 1]);
    expect(device.core.counters.strayKicks).toBe(0);
  });

  it("has its command carried out, and its queues looked at, by one signal for both", async () => {
    const { driver, device, rings } = client([0]);
    offer(rings[0]);
    driver.page.store(0x100, 0xabcd);
    await driver.command(0x0400_0000);
    expect(rings[0].collect()).toEqual([{ head: 0, length: 1 }]);
    expect([driver.page.load(0x7c), device.core.config.read(0, 4)]).toEqual([0, 0xabcd]);
  });
});

describe("another IRQ object", () => {
  it("notifies the queues that chose it, and no others", () => {
    const { device, echo } = client([0, 1, 2]);
    trigger(device, 2);
    expect(echo.kicks).toEqual([undefined, 1]);
    trigger(device, 4);
    expect(echo.kicks).toEqual([undefined, 1]);
  });
});

describe("a dataspace that is registered while the device is live", () => {
  it("holds buffers from then on, as L4Re's client library has it", () => {
    const { driver, device, rings } = client([0]);
    const more = new Uint8Array(0x1000);
    more.set([1, 2, 3, 4], 0x808);
    expect(device.registerDs(more, 0x9_0000_0000, 0x800, 0x800)).toBe(0);
    rings[0].offer([
      { address: 0x9_0000_0008, length: 4 },
      { address: 0x9_0000_07f0, length: 4, writable: true },
    ]);
    trigger(device, 0);
    expect([rings[0].collect(), [...more.subarray(0xff0, 0xff4)]]).toEqual([
      [{ head: 0, length: 4 }],
      [0xfe, 0xfd, 0xfc, 0xfb],
    ]);
    expect([device.registerDs(more, 0x9_0000_0400, 0, 0x800), driver.status]).toEqual([-22, 15]);
  });
});

describe("irq_status", () => {
  it("says that buffers were used", () => {
    const { driver, device, rings } = client([0]);
    expect(driver.page.load(IRQ_STATUS)).toBe(0);
    offer(rings[0]);
    trigger(device, 0);
    expect(driver.page.load(IRQ_STATUS)).toBe(1);
  });

  it("says that the configuration has changed, also where no object is bound", () => {
    const { driver, device, echo } = client([0]);
    device.icuBind(0, { trigger: () => expect(driver.page.load(IRQ_STATUS)).toBe(2) });
    driver.page.store(0x74, 1);
    echo.context?.configChanged();
    expect(driver.page.load(IRQ_STATUS)).toBe(2);
    driver.page.store(0x74, 0);
    echo.context?.configChanged();
    expect.assertions(3);
  });

  it("gathers both until the driver clears them, and is 0 after a reset", () => {
    const { driver, device, echo, rings } = client([0]);
    echo.context?.configChanged();
    offer(rings[0]);
    trigger(device, 0);
    expect(driver.page.load(IRQ_STATUS)).toBe(3);
    driver.page.store(IRQ_STATUS, 2);
    offer(rings[0]);
    trigger(device, 0);
    expect(driver.page.load(IRQ_STATUS)).toBe(3);
    device.setStatus(0);
    expect(driver.page.load(IRQ_STATUS)).toBe(0);
  });

  it("says so when the device asks for a reset", () => {
    const { driver, rings, device } = client([0]);
    rings[0].offer([{ address: 0, length: 4 }]);
    trigger(device, 0);
    expect([driver.status, driver.page.load(IRQ_STATUS) & 2]).toEqual([15 | 64, 2]);
  });
});

describe("a queue of a live device, without RING_RESET", () => {
  it("is set up, used, taken back, and set up anew with another size", () => {
    const { driver, device, echo, rings } = client([0]);
    driver.place(2);
    expect(device.configQueue(2)).toBe(0);
    trigger(device, 0);
    expect(echo.kicks).toEqual([1, undefined, 1]);
    driver.place(2, { ready: 0 });
    expect([device.configQueue(2), device.core.queues[2].enabled]).toEqual([0, false]);
    trigger(device, 0);
    expect(echo.kicks).toEqual([2, undefined, 1]);
    driver.place(2, { num: 4 });
    expect([device.configQueue(2), device.core.queues[2].size]).toEqual([0, 4]);
    trigger(device, 0);
    expect(echo.kicks).toEqual([3, undefined, 2]);
    offer(rings[0]);
    trigger(device, 0);
    expect(rings[0].collect()).toEqual([{ head: 0, length: 1 }]);
    expect([driver.status, device.core.counters.faults]).toEqual([15, 0]);
  });

  it("stays where the device can't let go of one queue, and says so", () => {
    const echo = Object.assign(new EchoDevice(), { stopQueue: undefined }) as VirtioDevice;
    const device = new L4VirtioDevice(echo, { scheduler: new ManualScheduler() });
    const driver = new RawDriver(device);
    driver.start();
    driver.place(0, { ready: 0 });
    expect(device.configQueue(0)).toBe(-5);
    expect([driver.entry(0).ready, device.core.queues[0].enabled, driver.status]).toEqual([1, true, 15]);
    expect([device.configQueue(1), device.core.queues[1].enabled]).toEqual([0, false]); // it has let go of that one
    driver.place(1);
    expect([device.configQueue(1), device.core.queues[1].enabled]).toEqual([0, true]);
  });

  it("is not set up of a device that needs a reset", () => {
    const { driver, device, echo } = client([0]);
    echo.context?.fail(new Error("broken") as never);
    driver.place(1);
    expect([device.configQueue(1), driver.entry(1).ready]).toEqual([-5, 0]);
  });
});

const ENOSYS = -38;
const unknown = async (): Promise<typeof ENOSYS> => ENOSYS;

/** What a device answers that knows SET_STATUS, CONFIG_QUEUE, REGISTER_IFACE and REGISTER_DS alone. */
function seedIpc(device: L4VirtioDevice): L4Ipc {
  return {
    ...directIpc(device),
    deviceConfig: unknown,
    deviceNotificationIrq: unknown,
    icuInfo: unknown,
    icuBind: unknown,
  };
}

async function open(r: Rig, ipc: L4Ipc): Promise<DriverDevice> {
  const driver = await DriverDevice.open(await L4DriverTransport.connect(ipc, r.host), r.host);
  await driver.negotiate();
  return driver;
}

describe.each<[string, Partial<L4VirtioDeviceOptions>]>([
  ["commands", {}],
  ["no commands", { cmdConfigBit: null }],
])("a device that knows REGISTER_IFACE alone, with %s", (_, options) => {
  it("is driven, by one IRQ object each way", async () => {
    const r = rig(options);
    const driver = await open(r, seedIpc(r.device));
    await driver.bindInterrupts(2);
    const used = vi.fn();
    const changed = vi.fn();
    driver.onConfigChange = changed;
    await driver.createQueue(0, { onUsed: used });
    expect(await roundTrip(driver, 1, [1, 2])).toEqual([0xfe, 0xfd]);
    expect(used).toHaveBeenCalledTimes(1);
    r.echo.config.view.setUint32(8, 7, true);
    r.echo.context?.configChanged();
    expect(changed).toHaveBeenCalledTimes(1);
    await driver.close();
    expect(r.device.core.counters).toMatchObject({ activations: 1, faults: 0 });
  });

  it("may signal before its driver has bound anything", async () => {
    const r = rig(options);
    let signal = (): void => {};
    const ipc: L4Ipc = {
      ...seedIpc(r.device),
      registerIface: async (handler) => {
        signal = handler;
        handler();
        return r.device.registerIface({ trigger: handler });
      },
    };
    const driver = await open(r, ipc);
    signal();
    expect(await roundTrip(driver, 0, [1])).toEqual([0xfe]);
  });
});

describe("a driver", () => {
  const refuse = async (): Promise<-22> => -22;
  it.each<[string, Partial<L4Ipc>]>([
    ["DEVICE_CONFIG", { deviceConfig: refuse }],
    ["REGISTER_IFACE", { deviceConfig: unknown, registerIface: refuse }],
    ["both", { deviceConfig: unknown, registerIface: unknown }],
  ])("says that %s was refused", async (_, refusal) => {
    const r = rig();
    const ipc = { ...directIpc(r.device), ...refusal };
    await expect(L4DriverTransport.connect(ipc, r.host)).rejects.toMatchObject({
      name: "DriverError",
      code: "refused",
    });
  });

  it.each([0, 0.5, ENOSYS, Number.NaN])("polls a device that takes %d IRQ objects", async (events) => {
    const r = rig();
    const bind = vi.fn(async () => 0 as const);
    const driver = await open(r, { ...directIpc(r.device), icuInfo: async () => events, icuBind: bind });
    await driver.bindInterrupts(2);
    expect(await roundTrip(driver, 1, [1])).toEqual([0xfe]);
    expect(bind).not.toHaveBeenCalled();
    expect([0, 1].map((queue) => new RawDriver(r.device).entry(queue).driverNotifyIndex)).toEqual([0, 0]);
  });

  it("notifies by commands where the device has no IRQ objects, and finds the command field by itself", async () => {
    const r = rig();
    const { clock } = r;
    const sleep = clock.sleep.bind(clock);
    // The device looks at the page whenever its driver waits.
    clock.sleep = async (ms) => {
      await sleep(ms);
      trigger(r.device, 0);
    };
    const driver = await open(r, { ...directIpc(r.device), deviceNotificationIrq: async () => ENOSYS });
    await driver.createQueue(1);
    await driver.start();
    const commands: number[] = [];
    let busy = true;
    const { page } = new RawDriver(r.device);
    clock.sleep = async (ms) => {
      await sleep(ms);
      if (busy || page.load(0x7c) === 0) return;
      commands.push(page.load(0x7c));
      page.store(0x7c, 0);
    };
    const turns = async (count: number): Promise<void> => {
      for (let turn = 0; turn < count; turn++) await null;
    };
    driver.transport.notify(1);
    await turns(10); // given: the device may have looked at the queue already
    expect(page.load(0x7c)).toBe(0x0800_0001);
    for (let i = 0; i < 4; i++) driver.transport.notify(1); // wait for their turn, as one
    busy = false;
    await turns(50);
    expect(commands).toEqual([0x0800_0001, 0x0800_0001]);
    driver.transport.notify(1);
    await turns(50);
    expect(commands).toEqual([0x0800_0001, 0x0800_0001, 0x0800_0001]);
  });

  it("has nothing to notify by where the device has neither IRQ objects nor commands: that looks by itself", async () => {
    const r = rig({ cmdConfigBit: null });
    const driver = await open(r, { ...directIpc(r.device), deviceNotificationIrq: async () => ENOSYS });
    await driver.createQueue(0);
    await driver.start();
    driver.transport.notify(0);
    for (let turn = 0; turn < 10; turn++) await null;
    expect([r.echo.kicks, driver.transport.readStatus()]).toEqual([[], 15]);
    expect(new RawDriver(r.device).page.load(0x7c)).toBe(0);
  });

  it.each([-22, -34] as const)("gives up at an IRQ object that the device answers %d for", async (result) => {
    const r = rig();
    const ipc = { ...directIpc(r.device), deviceNotificationIrq: async () => result };
    await expect(L4DriverTransport.connect(ipc, r.host)).rejects.toMatchObject({ code: "refused" });
  });
});
