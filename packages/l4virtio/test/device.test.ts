import { ManualScheduler, RecordingDevice } from "@virtio-ts/virtio-device/testing";
import { describe, expect, it, vi } from "vitest";
import { L4VirtioDevice } from "../src/device/index.ts";
import { EchoDevice, MEMORY_BASE, rig } from "./support/echo.ts";
import { RawDriver, VERSION_1 } from "./support/page.ts";

const ACKNOWLEDGE = 1;
const DRIVER = 2;
const DRIVER_OK = 4;
const FEATURES_OK = 8;
const NEEDS_RESET = 64;
const FAILED = 128;

function raw(...args: Parameters<typeof rig>): RawDriver & { echo: EchoDevice } {
  const { device, echo } = rig(...args);
  return Object.assign(new RawDriver(device), { echo });
}

describe("the config page", () => {
  it("says who the device is and what it offers", () => {
    const { page } = raw();
    expect(page.load(0x00).toString(16)).toBe("74726976");
    expect([page.load(0x04), page.load(0x08), page.load(0x0c)]).toEqual([2, 42, 0x44]);
    // INDIRECT_DESC, EVENT_IDX; VERSION_1, RING_RESET, SUSPEND; CMD_CONFIG.
    const map = [0xc0, 0xc4, 0xc8, 0xcc, 0xd0, 0xd4].map((at) => page.load(at));
    expect(map).toEqual([0x3000_0000, 0x0000_0901, 0, 0, 0, 1]);
    expect(page.load(0x10)).toBe(0x3000_0000);
    expect([page.load(0x28), page.load(0x2c)]).toEqual([2, 0x110]);
    expect([page.load(0xb0), page.load(0xb4), page.load(0xb8), page.load(0xbc)]).toEqual(Array(4).fill(0xffff_ffff));
    expect([page.load(0x70), page.load(0x78), page.load(0x7c), page.load(0xfc)]).toEqual([0, 0, 0, 0]);
  });

  it.each([7, 9, 11, 12, 0x9999])("says that the device is of type %i, as L4Re names it", (deviceType) => {
    const device = new L4VirtioDevice(new RecordingDevice({ deviceType }), { scheduler: new ManualScheduler() });
    expect(new RawDriver(device).page.load(0x08)).toBe(deviceType);
  });

  it("says of each queue how large it may be, and by which IRQ object it is notified", () => {
    const { page } = raw({}, [8, 32]);
    expect([page.loadNumMax(0x110), page.loadNumMax(0x138)]).toEqual([8, 32]);
    expect([page.loadQueue(0x110).deviceNotifyIndex, page.loadQueue(0x138).deviceNotifyIndex]).toEqual([1, 2]);
  });

  it("has no queues where there is no room for all of them", () => {
    const { page, device } = raw({}, Array(96).fill(8));
    expect([page.load(0x28), page.load(0x2c)]).toEqual([0, 0]);
    device.setStatus(3);
    expect(device.configQueue(0)).toBe(-34);
  });

  it("counts the control queue among the queues, which has an IRQ object of its own too", () => {
    const { scheduler } = rig();
    const echo = Object.assign(new EchoDevice([8, 16]), { controlQueueMaxSize: 4 });
    const { page, device } = new RawDriver(new L4VirtioDevice(echo, { scheduler }));
    expect([page.load(0x28), device.icuInfo()]).toEqual([3, 4]);
    const entries = [0x110, 0x138, 0x160].map((at) => [page.loadNumMax(at), page.loadQueue(at).deviceNotifyIndex]);
    expect(entries).toEqual([
      [8, 1],
      [16, 2],
      [4, 3],
    ]);
  });

  it("can lie anywhere in its dataspace", () => {
    const dataspace = new Uint8Array(0x3000);
    const { device } = rig({ page: { dataspace, offset: 0x1000 } });
    expect(device.deviceConfig()).toEqual({ dataspace, offset: 0x1000 });
    expect([...dataspace.subarray(0x1000, 0x1004)]).toEqual([0x76, 0x69, 0x72, 0x74]);
  });

  it("shows the device's configuration, and its changes with a generation that moved", () => {
    const { echo, page, ...driver } = raw();
    new RawDriver(driver.device).start();
    echo.config.view.setUint32(8, 0x1234, true);
    expect(page.load(0x108)).toBe(0);
    echo.context?.configChanged();
    expect(page.load(0x108)).toBe(0x1234);
    const generation = page.load(0xfc);
    echo.config.view.setUint32(8, 0x5678, true);
    echo.context?.configChanged();
    expect(page.load(0xfc)).toBe(generation + 3); // by the state machine, before and after the words were written
  });

  it("leaves alone what the driver has written and not yet said, and the generation where nothing has changed", () => {
    const driver = raw();
    driver.start();
    driver.page.store(0x100, 0x1234);
    driver.echo.config.view.setUint32(8, 0x5678, true);
    driver.echo.context?.configChanged();
    expect([driver.page.load(0x100), driver.page.load(0x108), driver.page.load(0xfc)]).toEqual([0x1234, 0x5678, 3]);
    driver.echo.context?.configChanged();
    expect(driver.page.load(0xfc)).toBe(4);
  });

  it("has room for a configuration that fills it", () => {
    const device = Object.assign(new EchoDevice(), { configSize: 3840, readConfig: () => null });
    const { scheduler } = rig();
    expect(new L4VirtioDevice(device, { scheduler }).core.config.size).toBe(3840);
  });

  it.each([
    ["a configuration that leaves no room for itself", { configSize: 3841 }, {}, "config-size"],
    ["no IRQ object", {}, { events: 0 }, "events"],
    ["half an IRQ object", {}, { events: 1.5 }, "events"],
    ["more IRQ objects than an index of 16 bits can name", {}, { events: 65537 }, "events"],
    ["a page that is too small", {}, { page: { dataspace: new Uint8Array(100), offset: 0 } }, "page"],
  ])("is not made with %s", (_, properties, options, code) => {
    const device = Object.assign(new EchoDevice(), properties);
    const { scheduler } = rig();
    expect(() => new L4VirtioDevice(device, { scheduler, ...options })).toThrow(
      expect.objectContaining({ name: "L4VirtioError", code }),
    );
  });
});

it("has as many IRQ objects as an index of 16 bits can name", () => {
  expect(rig({ events: 65536 }).device.icuInfo()).toBe(65536);
});

describe("the status", () => {
  it("takes several bits at once", () => {
    const driver = raw();
    driver.writeFeatures(VERSION_1);
    expect(driver.device.setStatus(ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK)).toBe(0);
    expect(driver.status).toBe(15);
  });

  it("asks for a reset when bits come in a wrong order", () => {
    const driver = raw();
    driver.device.setStatus(DRIVER);
    expect(driver.status).toBe(NEEDS_RESET);
  });

  it("keeps FAILED, whatever is written later, until the reset", () => {
    const driver = raw();
    driver.device.setStatus(FAILED);
    driver.device.setStatus(ACKNOWLEDGE);
    expect(driver.status).toBe(FAILED | ACKNOWLEDGE);
    driver.device.setStatus(0);
    expect(driver.status).toBe(0);
  });

  it.each([
    ["a feature was not offered", VERSION_1 | 1n],
    ["a feature of the transport was not offered", VERSION_1 | (1n << 161n)],
  ])("does not show FEATURES_OK where %s", (_, features) => {
    const driver = raw();
    driver.begin();
    driver.writeFeatures(features);
    driver.device.setStatus(11);
    expect(driver.status).toBe(3);
  });

  it("shows FEATURES_OK where VERSION_1 is missing: the device goes on with such a driver (6.1)", () => {
    const driver = raw();
    driver.begin();
    driver.writeFeatures(0n);
    driver.device.setStatus(11);
    expect(driver.status).toBe(11);
  });

  it("shows FEATURES_OK with CMD_CONFIG among the features, which is the transport's own", () => {
    const driver = raw();
    driver.begin();
    driver.writeFeatures(VERSION_1 | (1n << 160n));
    driver.device.setStatus(11);
    expect(driver.status).toBe(11);
  });

  it("asks for a reset, and does not show DRIVER_OK, where a queue entry is bad", () => {
    const driver = raw();
    driver.begin();
    driver.writeFeatures(VERSION_1);
    driver.device.setStatus(11);
    driver.place(0);
    driver.place(1, { num: 5 });
    driver.device.setStatus(15);
    expect(driver.status).toBe(NEEDS_RESET | 11);
    expect(driver.device.core.counters.activations).toBe(0);
  });

  it("takes features and queues when FEATURES_OK and DRIVER_OK are added, not before", () => {
    const driver = raw();
    driver.writeFeatures(1n << 161n); // not offered
    driver.place(0, { num: 5 }); // not acceptable
    driver.device.setStatus(1);
    driver.device.setStatus(3);
    expect([driver.status, driver.device.core.features.writtenPage(0)]).toEqual([3, 0]);
  });

  it("takes neither of them anew when its bit is written again", () => {
    const driver = raw();
    driver.begin();
    driver.writeFeatures(VERSION_1);
    driver.device.setStatus(11);
    driver.writeFeatures(VERSION_1 | (1n << 161n)); // not offered
    driver.place(0);
    driver.device.setStatus(15);
    driver.place(1, { num: 5 }); // not acceptable
    driver.device.setStatus(15);
    expect(driver.status).toBe(15);
  });

  it("is only 0 again when a reset that takes time is done", async () => {
    const driver = raw();
    driver.start();
    let done = (): void => {};
    driver.echo.resetting = new Promise((resolve) => {
      done = resolve;
    });
    driver.device.setStatus(0);
    expect(driver.status).toBe(15);
    driver.echo.config.view.setUint32(8, 0x99, true);
    done();
    await driver.device.settled;
    expect(driver.status).toBe(0);
    expect(driver.page.load(0x108)).toBe(0x99); // as the reset has left it
  });

  it("is 0 after a reset, with the page as it was in the beginning and the generation moved on", () => {
    const driver = raw();
    const before = driver.page.words.slice();
    driver.start();
    driver.page.words.fill(0x5555_5555, 0, 4);
    driver.device.setStatus(0);
    const { header } = driver.page;
    before[0xfc / 4] = 1;
    before[header.cfgDriverNotifyIndex / 4] = driver.page.load(header.cfgDriverNotifyIndex);
    expect([...driver.page.words]).toEqual([...before]);
  });

  it("tells what the driver may not know: that the device was removed", async () => {
    const driver = raw();
    driver.start();
    await driver.device.remove();
    expect(driver.status).toBe(0);
  });

  it.each([-1, 0.5, 2 ** 32, Number.NaN])("is not %d", (status) => {
    expect(raw().device.setStatus(status)).toBe(-22);
  });
});

describe("CONFIG_QUEUE", () => {
  const ready = (): ReturnType<typeof raw> => {
    const driver = raw();
    driver.begin();
    return driver;
  };

  it("enables a queue whose entry is ready", () => {
    const driver = ready();
    driver.place(0);
    expect(driver.device.configQueue(0)).toBe(0);
    expect(driver.device.core.queues[0]).toMatchObject({ enabled: true, size: 8 });
  });

  it("takes it away again when it no longer is, and lets it be placed anew", () => {
    const driver = ready();
    driver.place(0);
    driver.device.configQueue(0);
    driver.place(0, { ready: 0 });
    expect(driver.device.configQueue(0)).toBe(0);
    expect(driver.device.core.queues[0].enabled).toBe(false);
    driver.place(0, { num: 4 });
    expect(driver.device.configQueue(0)).toBe(0);
    expect(driver.device.core.queues[0]).toMatchObject({ enabled: true, size: 4 });
  });

  it.each([0, ACKNOWLEDGE, ACKNOWLEDGE | DRIVER | FAILED, NEEDS_RESET | ACKNOWLEDGE])(
    "answers -EIO with status %d",
    (status) => {
      const driver = raw();
      driver.device.setStatus(status & ~NEEDS_RESET);
      if ((status & NEEDS_RESET) !== 0) driver.device.setStatus(DRIVER_OK);
      expect(driver.device.configQueue(0)).toBe(-5);
    },
  );

  it.each([2, -1, 0.5, 2 ** 32, Number.NaN])("answers -ERANGE for queue %d of 2", (queue) => {
    expect(ready().device.configQueue(queue)).toBe(-34);
  });

  const base = MEMORY_BASE;
  it.each([
    ["a size of 0", { num: 0 }],
    ["a size that is no power of two", { num: 6 }],
    ["a size above the maximum", { num: 32, halves: [base, 0, base + 0x1000, 0, base + 0x2000, 0] }],
    ["a descriptor table not aligned to 16", { halves: [base + 8, 0, base + 0x100, 0, base + 0x200, 0] }],
    ["an available ring not aligned to 2", { halves: [base, 0, base + 0x101, 0, base + 0x200, 0] }],
    ["a used ring not aligned to 4", { halves: [base, 0, base + 0x100, 0, base + 0x202, 0] }],
    ["an area outside all dataspaces", { halves: [base, 0, base + 0x100, 0, 0, 0] }],
    ["an area that runs out of its dataspace", { halves: [base + 0xfff0, 0, base + 0x100, 0, base + 0x200, 0] }],
    ["an address past 2^53", { halves: [base, 0xffff_ffff, base + 0x100, 0, base + 0x200, 0] }],
    ["an address that wraps around 2^64", { halves: [0xffff_fff0, 0xffff_ffff, base + 0x100, 0, base + 0x200, 0] }],
    ["ready neither 0 nor 1", { ready: 2 }],
    ["an IRQ object of the driver's past the last", { driverNotifyIndex: 3 }],
    ["an IRQ object of the device's past the last", { deviceNotifyIndex: 3 }],
  ])("answers -EINVAL for %s, and shows that the queue is not ready", (_, entry) => {
    const driver = ready();
    driver.place(0, entry);
    expect(driver.device.configQueue(0)).toBe(-22);
    expect(driver.entry(0).ready).toBe(0);
    expect(driver.device.core.queues[0].enabled).toBe(false);
  });

  it("asks of a packed ring what packed rings ask, before the features were agreed on", () => {
    const driver = ready();
    driver.place(0, { num: 6 });
    expect(driver.device.configQueue(0)).toBe(-22);
    driver.writeFeatures(VERSION_1 | (1n << 34n));
    driver.place(0, { num: 6 });
    expect(driver.device.configQueue(0)).toBe(0);
  });

  it("takes an entry that changed while its queue is ready when it is told so, not at DRIVER_OK", () => {
    const driver = ready();
    driver.writeFeatures(VERSION_1);
    driver.device.setStatus(11);
    driver.place(0);
    driver.device.configQueue(0);
    driver.place(0, { driverNotifyIndex: 99 });
    driver.device.setStatus(15);
    expect([driver.status, driver.device.configQueue(0)]).toEqual([15, -22]);
  });

  it("answers -EIO for a queue whose reset is under way, and takes nothing of its entry", () => {
    const driver = raw();
    driver.start();
    driver.echo.queueResetting = new Promise(() => {});
    driver.place(0, { ready: 0 });
    expect(driver.device.configQueue(0)).toBe(0);
    driver.place(0, { num: 4 });
    expect(driver.device.configQueue(0)).toBe(-5);
    expect(driver.device.core.queues[0]).toMatchObject({ enabled: false, resetting: true, size: 16 });
  });

  it("does not look at size and addresses again while the queue is ready", () => {
    const driver = ready();
    driver.place(0);
    driver.device.configQueue(0);
    driver.place(0, { num: 4 });
    expect(driver.device.configQueue(0)).toBe(0);
    expect(driver.device.core.queues[0].size).toBe(8);
  });

  it("resets and enables queues of a live device where RING_RESET was negotiated", () => {
    const driver = raw();
    driver.start(VERSION_1 | (1n << 40n));
    driver.place(0, { ready: 0 });
    expect(driver.device.configQueue(0)).toBe(0);
    driver.place(0, { num: 4 });
    expect(driver.device.configQueue(0)).toBe(0);
    expect(driver.device.core.queues[0]).toMatchObject({ enabled: true, size: 4 });
    expect(driver.status).toBe(15);
  });
});

describe("REGISTER_DS", () => {
  const space = new Uint8Array(0x1000);
  const register = (...[base, offset, size]: number[]): number => rig().device.registerDs(space, base, offset, size);

  it.each([
    ["all of it", 0x1000, 0, 0x1000, 0],
    ["a part of it", 0x1000, 0x800, 0x800, 0],
    ["the last it could be", 2 ** 53 - 0x1008, 0, 0x1000, 0],
    ["an offset at its end", 0x1000, 0x1000, 8, -34],
    ["an offset past its end", 0x1000, 2 ** 40, 8, -34],
    ["a size that is too large", 0x1000, 0, 0x1008, -22],
    ["a size that is too large from the offset on", 0x1000, 0x800, 0x808, -22],
    ["a size and an offset that overflow together", 0x1000, 8, Number.MAX_SAFE_INTEGER, -22],
    ["a size of 0", 0x1000, 0, 0, -22],
    ["a size that is no multiple of 8", 0x1000, 0, 12, -22],
    ["a misaligned base", 0x1004, 0, 8, -22],
    ["a misaligned offset", 0x1000, 4, 8, -22],
    ["a base past 2^53", 2 ** 53, 0, 0x1000, -22],
    ["a range that ends past 2^53", 2 ** 53 - 8, 0, 0x1000, -22],
    ["a negative base", -8, 0, 8, -22],
    ["half a base", 0.5, 0, 8, -22],
    ["no number", Number.NaN, 0, 8, -22],
    ["an offset from the dataspace's end", 0x1000, -0x800, 0x1800, -22],
    ["half an offset", 0x1000, 0.5, 8, -22],
    ["half a size", 0x1000, 0, 8.5, -22],
    ["no size", 0x1000, 0, Number.NaN, -22],
  ])("takes, or refuses, %s", (_, base, offset, size, result) => {
    expect(register(base, offset, size)).toBe(result);
  });

  it.each([
    ["from below", 0x800],
    ["from above", 0x1800],
  ])("refuses a range that overlaps another %s", (_, base) => {
    const { device } = rig();
    expect(device.registerDs(space, 0x1000, 0, 0x1000)).toBe(0);
    expect(device.registerDs(space, base, 0, 0x1000)).toBe(-22);
    expect(device.registerDs(space, 0x2000, 0, 0x1000)).toBe(0);
  });

  it("refuses another size at the same address: that is another range", () => {
    const { device } = rig();
    expect([0x1000, 0x800, 0x1000].map((size) => device.registerDs(space, 0x1000, 0, size))).toEqual([0, -22, 0]);
  });

  it("puts the same range again in the place of the one before", () => {
    const { device } = rig();
    device.registerDs(space, 0x1000, 0, 0x1000);
    expect(device.registerDs(Uint8Array.of(...Array(0x1000).fill(7)), 0x1000, 0, 0x1000)).toBe(0);
    expect(device.core.memory.readU8(0x1fff)).toBe(7);
    expect(device.core.memory.regions.length).toBe(1);
  });

  it("answers -ENOMEM when there are too many", () => {
    const { device } = rig({ maxDataspaces: 2 });
    expect([0x1000, 0x2000, 0x3000].map((base) => device.registerDs(space, base, 0, 8))).toEqual([0, 0, -12]);
    expect(device.registerDs(space, 0x2000, 0, 8)).toBe(0);
  });

  it("answers -EBUSY for a range that a live device has, and takes it after a reset", () => {
    const driver = raw();
    driver.start();
    const same = (): number => driver.device.registerDs(new Uint8Array(0x10000), MEMORY_BASE, 0, 0x10000);
    expect(same()).toBe(-16);
    driver.device.setStatus(0);
    expect(same()).toBe(0);
  });

  it("is remembered over a reset", () => {
    const driver = raw();
    driver.start();
    driver.device.setStatus(0);
    expect(driver.device.core.memory.contains(MEMORY_BASE, 0x10000)).toBe(true);
  });
});

describe("IRQ objects", () => {
  it("are the same for the same index, as many as the device supports", () => {
    const { device } = rig({ events: 2 });
    expect(device.icuInfo()).toBe(2);
    expect(device.deviceNotificationIrq(1)).toBe(device.deviceNotificationIrq(1));
    expect(device.deviceNotificationIrq(1)).not.toBe(device.deviceNotificationIrq(0));
    expect([2, -1, 0.5, Number.NaN].map((index) => device.deviceNotificationIrq(index))).toEqual([-34, -34, -34, -34]);
    const irq = { trigger: () => {} };
    expect([1, 2, -1, 0.5, Number.NaN].map((i) => device.icuBind(i, irq))).toEqual([0, -34, -34, -34, -34]);
  });

  it("notify the queues that chose them, and several queues that share one", () => {
    const driver = raw({}, [8, 8, 8]);
    driver.begin();
    driver.writeFeatures(VERSION_1);
    driver.device.setStatus(11);
    driver.place(0, { deviceNotifyIndex: 3 });
    driver.place(1, { deviceNotifyIndex: 2 });
    driver.place(2, { deviceNotifyIndex: 3 });
    driver.device.setStatus(15);
    const trigger = (index: number): void => {
      const irq = driver.device.deviceNotificationIrq(index);
      if (typeof irq !== "number") irq.trigger();
    };
    trigger(3);
    expect(driver.echo.kicks).toEqual([1, undefined, 1]);
    trigger(2);
    expect(driver.echo.kicks).toEqual([1, 1, 1]);
    trigger(1);
    expect(driver.echo.kicks).toEqual([1, 1, 1]);
  });

  it("change for a queue when CONFIG_QUEUE says so", () => {
    const driver = raw();
    driver.start();
    driver.place(0, { deviceNotifyIndex: 2, driverNotifyIndex: 2 });
    const [one, two] = [1, 2].map((index) => driver.device.deviceNotificationIrq(index));
    if (typeof one === "number" || typeof two === "number") throw new Error("no IRQ objects");
    two.trigger();
    expect(driver.echo.kicks).toEqual([]);
    expect(driver.device.configQueue(0)).toBe(0);
    one.trigger();
    expect(driver.echo.kicks).toEqual([]);
    two.trigger();
    expect(driver.echo.kicks).toEqual([1]);
    const bound = vi.fn();
    driver.device.icuBind(2, { trigger: bound });
    driver.echo.context?.queues[0]?.notifier.notify();
    expect(bound).toHaveBeenCalledTimes(1);
  });

  it("tell the driver of configuration changes by the one it chose, and of none when it chose one that is not", () => {
    const driver = raw();
    const irqs = [vi.fn(), vi.fn()];
    irqs.forEach((trigger, index) => void driver.device.icuBind(index, { trigger }));
    driver.start();
    driver.page.store(driver.page.header.cfgDriverNotifyIndex, 1);
    driver.echo.context?.configChanged();
    driver.page.store(driver.page.header.cfgDriverNotifyIndex, 0xffff_ffff);
    driver.echo.context?.configChanged();
    expect(irqs.map((irq) => irq.mock.calls.length)).toEqual([0, 1]);
  });

  it("go both ways by REGISTER_IFACE, with the config page", () => {
    const driver = raw();
    const trigger = vi.fn();
    const answer = driver.device.registerIface({ trigger });
    expect(answer).toEqual({ irq: driver.device.deviceNotificationIrq(0), ...driver.device.deviceConfig() });
    driver.start();
    driver.echo.context?.configChanged();
    expect(trigger).toHaveBeenCalledTimes(1);
    expect(driver.device.registerIface(null)).toBe(-22);
  });
});

describe("the command field", () => {
  it("sets the status", async () => {
    const driver = raw();
    await driver.command(0x0100_0003);
    expect([driver.status, driver.page.load(0x7c)]).toEqual([3, 0]);
    await driver.command(0x0100_0000);
    expect([driver.status, driver.page.load(0x7c)]).toEqual([0, 0]);
  });

  it("configures a queue", async () => {
    const driver = raw();
    driver.begin();
    driver.place(1);
    await driver.command(0x0200_0001);
    expect(driver.device.core.queues[1].enabled).toBe(true);
  });

  it("gives the device what the driver wrote into its configuration, and the driver what became of it", async () => {
    const driver = raw();
    driver.page.store(0x104, 0x0102_0304);
    driver.page.store(0x108, 0x0506_0708); // read-only
    await driver.command(0x0400_0004);
    expect([...driver.echo.config.bytes]).toEqual([0, 0, 0, 0, 4, 3, 2, 1, 0, 0, 0, 0]);
    expect([driver.page.load(0x104), driver.page.load(0x108)]).toEqual([0x0102_0304, 0]);
  });

  it("gives the device nothing that the driver has not written: the device may have changed that meanwhile", async () => {
    const driver = raw();
    driver.echo.config.view.setUint32(0, 0x77, true);
    driver.page.store(0x104, 0x88);
    await driver.command(0x0400_0004);
    expect([...driver.echo.config.bytes.subarray(0, 8)]).toEqual([0x77, 0, 0, 0, 0x88, 0, 0, 0]);
  });

  it("stays until what it asked for is done", async () => {
    const driver = raw();
    driver.start(VERSION_1 | (1n << 40n));
    let done = (): void => {};
    driver.echo.queueResetting = new Promise((resolve) => {
      done = resolve;
    });
    driver.place(0, { ready: 0 });
    await driver.command(0x0200_0000);
    expect(driver.page.load(0x7c)).toBe(0x0200_0000);
    await driver.command(0x0200_0000);
    done();
    await driver.device.settled;
    expect(driver.page.load(0x7c)).toBe(0);
  });

  it("is carried out once, however often it is signalled until it is done", async () => {
    const driver = raw();
    driver.start();
    driver.echo.resetting = new Promise(() => {});
    for (let signal = 0; signal < 3; signal++) await driver.command(0x0100_0000);
    expect([driver.page.load(0x7c), driver.page.load(0xfc)]).toEqual([0x0100_0000, 1]);
    await driver.command(0); // none: the one before is still carried out
    await driver.command(0x0100_0000);
    expect(driver.page.load(0xfc)).toBe(1);
  });

  it("is carried out once where it was written over one that is done only now", async () => {
    const driver = raw();
    driver.start();
    driver.echo.resetting = new Promise(() => {});
    const before = driver.command(0x0800_0000);
    const after = driver.command(0x0100_0000);
    await Promise.all([before, after]);
    await driver.command(0x0100_0000);
    expect([driver.page.load(0x7c), driver.page.load(0xfc)]).toEqual([0x0100_0000, 1]);
  });

  it("is looked at when the IRQ object for commands is triggered, not another", async () => {
    const driver = raw();
    driver.page.store(0x7c, 0x0100_0001);
    const irq = driver.device.deviceNotificationIrq(1);
    if (typeof irq === "number") throw new Error(`no IRQ object: ${irq}`);
    irq.trigger();
    await driver.device.settled;
    expect([driver.status, driver.page.load(0x7c)]).toEqual([0, 0x0100_0001]);
  });

  it.each([0x0000_0001, 0x1000_0000, 0x0300_0000, 0xff00_0000])("clears 0x%x, which is no command", async (command) => {
    const driver = raw();
    await driver.command(command);
    expect([driver.page.load(0x7c), driver.status]).toEqual([0, 0]);
  });

  it("is nobody's business where CMD_CONFIG is not offered", async () => {
    const driver = raw({ cmdConfigBit: null });
    expect(driver.page.load(0xd4)).toBe(0);
    await driver.command(0x0100_0001);
    expect([driver.page.load(0x7c), driver.status]).toEqual([0x0100_0001, 0]);
  });
});
