import { MessageChannel, type MessagePort } from "node:worker_threads";
import { DeviceFault } from "@virtio-ts/virtio-device";
import { ManualScheduler } from "@virtio-ts/virtio-device/testing";
import { DriverDevice, ProcessHost } from "@virtio-ts/virtio-driver";
import { BufferElements } from "@virtio-ts/virtio-queue";
import { GuestMemory } from "@virtio-ts/vm-memory";
import { afterEach, describe, expect, it, vi } from "vitest";
import { L4VirtioDevice } from "../src/device/index.ts";
import { L4DriverTransport } from "../src/driver/index.ts";
import { type L4Port, PortIpc, serve, sharedPage } from "../src/threads/index.ts";
import { type Message, messageOf } from "../src/threads/port.ts";
import { WakeUps } from "../src/threads/wake-ups.ts";
import { EchoDevice, rig } from "./support/echo.ts";
import { RawDriver } from "./support/page.ts";

const ports: L4Port[] = [];

function channel(): { near: MessagePort; far: MessagePort } {
  const { port1: near, port2: far } = new MessageChannel();
  ports.push(near, far);
  return { near, far };
}

function served(): { device: L4VirtioDevice; far: MessagePort } {
  const { near, far } = channel();
  const device = new L4VirtioDevice(new EchoDevice(), { scheduler: new ManualScheduler(), page: sharedPage() });
  serve(near, device);
  return { device, far };
}

/** Lets messages arrive. */
async function arrival(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setTimeout(resolve, 1));
}

/** What the device's end answers to a message. */
function answer(far: MessagePort, message: unknown): Promise<Record<string, unknown>> {
  return new Promise((resolve) => {
    far.addEventListener("message", (event) => resolve((event as MessageEvent).data as Record<string, unknown>), {
      once: true,
    });
    far.start();
    far.postMessage(message);
  });
}

afterEach(() => {
  for (const port of ports.splice(0)) port.close();
});

describe("the device's end of a port", () => {
  it("is not served with a config page that no other thread sees", () => {
    const { near } = channel();
    const device = new L4VirtioDevice(new EchoDevice(), { scheduler: new ManualScheduler() });
    expect(() => serve(near, device)).toThrow(expect.objectContaining({ name: "L4VirtioError", code: "page" }));
  });

  it("answers each operation by its number", async () => {
    const { device, far } = served();
    const shared = new Uint8Array(new SharedArrayBuffer(0x1000));
    expect(await answer(far, { id: 1, operation: 0, first: 3 })).toEqual({ id: 1, result: 0 });
    expect(device.core.status).toBe(3);
    expect(await answer(far, { id: 2, operation: 1, first: 9 })).toEqual({ id: 2, result: -34 });
    const registration = { dataspace: shared, first: 0x1000, second: 0, third: 0x1000 };
    expect(await answer(far, { id: 3, operation: 3, ...registration })).toEqual({ id: 3, result: 0 });
    expect(device.core.memory.contains(0x1000, 0x1000)).toBe(true);
    const page = await answer(far, { id: 4, operation: 4 });
    expect(page).toMatchObject({ id: 4, result: 0, offset: 0 });
    expect((page.dataspace as Uint8Array)[0]).toBe(0x76);
    expect(await answer(far, { id: 5, operation: 5, first: 7 })).toEqual({ id: 5, result: -34 });
    const pending = new Int32Array(new SharedArrayBuffer(4));
    const iface = await answer(far, { id: 6, operation: 2, irqObject: { slot: 0, pending } });
    expect(iface).toMatchObject({ id: 6, result: 0, offset: 0, irqObject: { slot: 0 } });
    expect(await answer(far, { id: 7, operation: 2 })).toEqual({ id: 7, result: -22 });
    expect(await answer(far, { id: 8, operation: "icu-info" })).toEqual({ id: 8, result: 3 });
  });

  it.each([
    ["nothing", null, -38],
    ["a number", 7, -38],
    ["an operation that is not there", { operation: 6 }, -38],
    ["an operation that is an object", { operation: { toString: 1, valueOf: 1 } }, -38],
    ["a status that is an object", { operation: 0, first: { toString: 1, valueOf: 1 } }, -22],
    ["a status that is missing", { operation: 0 }, -22],
    ["a queue that is text", { operation: 1, first: "0" }, -5],
    ["a dataspace that is none", { operation: 3, dataspace: {}, first: 0, second: 0, third: 8 }, -22],
    ["a dataspace that is a copy", { operation: 3, dataspace: new Uint8Array(8), first: 0, second: 0, third: 8 }, -22],
    ["an IRQ object that is none", { operation: "icu-bind", first: 0, irqObject: { slot: "x", pending: 1 } }, -22],
    [
      "an IRQ object with an empty word",
      { operation: "icu-bind", first: 0, irqObject: { slot: 0, pending: new Int32Array(0) } },
      -22,
    ],
  ])("takes %s, and answers", async (_, message, result) => {
    const { device, far } = served();
    expect(await answer(far, message)).toMatchObject({ result });
    expect(device.core.status).toBe(0);
  });

  it.each([{ irq: 99 }, { irq: -1 }, { irq: "0" }, { irq: null }])(
    "ignores a wake-up for what is not there: %o",
    async (message) => {
      const { far } = served();
      far.postMessage(message);
      expect(await answer(far, { id: 1, operation: "icu-info" })).toEqual({ id: 1, result: 3 });
    },
  );

  it("resets the device when the other end is closed", async () => {
    const { device, far } = served();
    const ipc = new PortIpc(far);
    await ipc.icuBind(0, () => {});
    await ipc.setStatus(3);
    expect(device.core.status).toBe(3);
    far.close();
    await arrival();
    expect(device.core.status).toBe(0);
  });
});

describe("IRQ objects between threads", () => {
  it("wake once, however often they are triggered, and again afterwards", async () => {
    const { device, far } = served();
    const ipc = new PortIpc(far);
    const messages = vi.spyOn(far, "postMessage");
    const irq = await ipc.deviceNotificationIrq(0);
    if (typeof irq === "number") throw new Error("no IRQ object");
    messages.mockClear();
    for (let i = 0; i < 1000; i++) irq.trigger();
    expect(messages).toHaveBeenCalledTimes(1);
    await arrival();
    irq.trigger();
    expect(messages).toHaveBeenCalledTimes(2);
    expect(await ipc.deviceNotificationIrq(0)).not.toBe(-34);
    expect(device.icuInfo()).toBe(3);
  });

  it("are not lost when they are triggered while they are handled", async () => {
    const { near, far } = channel();
    const [sender, receiver] = [new WakeUps(near), new WakeUps(far)];
    far.addEventListener("message", (event) => void receiver.deliver((event as MessageEvent).data as Message));
    far.start();
    let handled = 0;
    const irq = sender.open(receiver.create(7, () => void (++handled < 3 && irq?.trigger())));
    irq?.trigger();
    await arrival();
    expect(handled).toBe(3);
  });

  it("keep their word when they are bound anew, to another handler", async () => {
    const { far } = channel();
    const ends = new WakeUps(far);
    const handlers = [vi.fn(), vi.fn()];
    expect(ends.create(1, handlers[0]).pending).toBe(ends.create(1, handlers[1]).pending);
    ends.deliver({ irq: 1 });
    expect(handlers.map((handler) => handler.mock.calls.length)).toEqual([0, 1]);
  });

  it("call the driver's handler", async () => {
    const { device, far } = served();
    const ipc = new PortIpc(far);
    const handler = vi.fn();
    expect([await ipc.icuBind(0, handler), await ipc.icuBind(3, handler)]).toEqual([0, -34]);
    const raw = new RawDriver(device);
    raw.start();
    expect(raw.status).toBe(15);
    device.core.fail(new DeviceFault("device-error", "it broke"));
    await arrival();
    expect(handler).toHaveBeenCalledTimes(1);
  });
});

describe("the driver's end of a port", () => {
  const answering = (reply: (message: Record<string, unknown>) => unknown): PortIpc => {
    const { near, far } = channel();
    near.addEventListener("message", (event) => {
      near.postMessage(reply((event as MessageEvent).data as Record<string, unknown>));
    });
    near.start();
    return new PortIpc(far);
  };
  const odd = { toString: 1, valueOf: 1 };

  it.each([
    ["a result that is none", (ipc: PortIpc) => ipc.setStatus(1), { result: 7 }],
    ["a result that is an object", (ipc: PortIpc) => ipc.configQueue(1), { result: odd }],
    ["no result", (ipc: PortIpc) => ipc.icuBind(0, () => {}), {}],
    ["no config page", (ipc: PortIpc) => ipc.deviceConfig(), { result: 0, offset: 0 }],
    ["a config page that is a copy", (ipc: PortIpc) => ipc.deviceConfig(), { dataspace: new Uint8Array(8), offset: 0 }],
    ["a config page nowhere", (ipc: PortIpc) => ipc.deviceConfig(), { ...sharedPage(), offset: "0" }],
    ["no IRQ object", (ipc: PortIpc) => ipc.deviceNotificationIrq(0), { result: 0, irqObject: odd }],
  ])("does not believe %s", async (_, call, reply) => {
    const ipc = answering(({ id }) => ({ id, ...reply }));
    await expect(call(ipc)).rejects.toMatchObject({ name: "DriverError", code: "bad-device" });
  });

  it("takes a number of IRQ objects that is none for what it is", async () => {
    expect(await answering(({ id }) => ({ id, result: odd })).icuInfo()).toBeNaN();
  });

  it.each([
    ["to what nobody asked", { id: 99, result: 0 }],
    ["to nothing", { result: 0 }],
    ["that are wake-ups", { irq: 99, id: 0, result: 0 }],
    ["that are nothing at all", null],
  ])("ignores answers %s", async (_, stray) => {
    let arrive = (_message: unknown): void => {};
    const port: L4Port = {
      postMessage: () => {},
      addEventListener: (type, listener) => {
        if (type === "message") arrive = (data) => listener({ data });
      },
      start: () => {},
      close: () => {},
    };
    const answered = new PortIpc(port).setStatus(1);
    arrive(stray);
    arrive({ id: 0, result: -5 });
    expect(await answered).toBe(-5);
  });

  it("does not send memory that the device would get a copy of", async () => {
    const ipc = answering(({ id }) => ({ id, result: 0 }));
    await expect(ipc.registerDs(new Uint8Array(8), 0, 0, 8)).rejects.toMatchObject({
      name: "DriverError",
      code: "invalid",
    });
  });

  it("has a driver told so whose memory is not shared", async () => {
    const { far } = served();
    const { host } = rig();
    const connected = L4DriverTransport.connect(new PortIpc(far), new ProcessHost(host.memory));
    await expect(connected).rejects.toMatchObject({ name: "DriverError", code: "invalid" });
  });

  it("tells everybody who waits that the device is gone, once, and everybody who comes later", async () => {
    const ipc = answering(() => null);
    const early = vi.fn();
    ipc.onGone(early);
    const waiting = ipc.setStatus(1);
    ipc.lost("its worker was ended");
    ipc.lost("and again");
    await expect(waiting).rejects.toMatchObject({
      code: "device-gone",
      message: "the device is gone: its worker was ended",
    });
    await expect(ipc.setStatus(1)).rejects.toMatchObject({ code: "device-gone" });
    const late = vi.fn();
    ipc.onGone(late);
    expect([early.mock.calls, late.mock.calls]).toEqual([[["its worker was ended"]], [["its worker was ended"]]]);
  });
});

describe("a device that knows REGISTER_IFACE alone, in another thread", () => {
  it("is driven over its port, by one IRQ object each way", async () => {
    const { near, far } = channel();
    const device = new L4VirtioDevice(new EchoDevice(), { scheduler: new ManualScheduler(), page: sharedPage() });
    // The operations that it does not know yet reach its end as numbers it has no operation for.
    const late = new Set<unknown>([4, 5, "icu-info", "icu-bind"]);
    const old: L4Port = {
      postMessage: (message) => near.postMessage(message),
      addEventListener: (type, listener) =>
        near.addEventListener(type, (event: object) => {
          const { data } = event as { data?: Message };
          listener({ data: late.has(data?.operation) ? { ...data, operation: -1 } : data });
        }),
      start: () => near.start(),
      close: () => near.close(),
    };
    serve(old, device);
    const ipc = new PortIpc(far);
    const host = new ProcessHost(GuestMemory.of(new Uint8Array(new SharedArrayBuffer(0x10000))));
    const driver = await DriverDevice.open(await L4DriverTransport.connect(ipc, host), host);
    await driver.negotiate();
    await driver.bindInterrupts(2);
    let told = (): void => {};
    const used = new Promise<void>((resolve) => {
      told = resolve;
    });
    const queue = await driver.createQueue<string>(0, { onUsed: told });
    await driver.start();
    const at = host.dma.allocate(64, 8);
    host.memory.writeU8(at, 0x0f);
    await queue.enqueue(new BufferElements().readable(at, 1).writable(at + 32, 1), "request");
    queue.notify();
    await used;
    expect(host.memory.readU8(at + 32)).toBe(0xf0);
    await driver.close();
  });

  it.each([
    ["no page", { result: 0, offset: 0 }],
    ["no offset", { result: 0, dataspace: new Uint8Array(new SharedArrayBuffer(4096)) }],
    ["no IRQ object", { result: 0, dataspace: new Uint8Array(new SharedArrayBuffer(4096)), offset: 0 }],
  ])("is no device where it answers %s", async (_, answered) => {
    const { near, far } = channel();
    near.addEventListener("message", (event) => {
      near.postMessage({ ...answered, id: messageOf(event).id });
    });
    near.start();
    await expect(new PortIpc(far).registerIface(() => {})).rejects.toMatchObject({ code: "bad-device" });
  });
});
