import { rounds } from "@virtio-ts/rounds";
import { RestoreError } from "@virtio-ts/virtio-device";
import { ManualScheduler, randomNumbers, tamperedState } from "@virtio-ts/virtio-device/testing";
import { DriverDevice, ProcessHost, type Virtqueue } from "@virtio-ts/virtio-driver";
import { NetDevice } from "@virtio-ts/virtio-net/device";
import { DriverRig } from "@virtio-ts/virtio-net/testing";
import { BufferElements } from "@virtio-ts/virtio-queue";
import { GuestMemory } from "@virtio-ts/vm-memory";
import { describe, expect, it } from "vitest";
import { directIpc, L4VirtioDevice, type L4VirtioDeviceOptions } from "../src/device/index.ts";
import { L4DriverTransport } from "../src/driver/index.ts";
import type { L4Ipc } from "../src/layout/index.ts";
import { EchoDevice, type Rig, rig, roundTrip } from "./support/echo.ts";
import { RawDriver } from "./support/page.ts";

interface Live extends Rig {
  readonly driver: DriverDevice;
  readonly queue: Virtqueue<number>;
  readonly block: number;
}

/** A device with a driver, live. */
async function live(options: Partial<L4VirtioDeviceOptions> = {}): Promise<Live> {
  const r = rig(options);
  const cmdConfigBit = options.cmdConfigBit ?? 160;
  const transport = await L4DriverTransport.connect(directIpc(r.device), r.host, { cmdConfigBit });
  const driver = await DriverDevice.open(transport, r.host);
  await driver.negotiate();
  await driver.bindInterrupts(2);
  const queue = await driver.createQueue<number>(0, { size: 8 });
  await driver.start();
  return { ...r, driver, queue, block: r.host.dma.allocate(64, 8) };
}

function memoryOf({ host }: Rig): Uint8Array[] {
  return host.memory.regions.map(({ u8 }) => u8);
}

function signal(device: L4VirtioDevice, index: number): void {
  const irq = device.deviceNotificationIrq(index);
  if (typeof irq !== "number") irq.trigger();
}

/** Another device over the same page and memory, which takes the state and the driver's IRQ objects. */
function successor(l: Live, state: unknown, options: Partial<L4VirtioDeviceOptions> = {}): L4VirtioDevice {
  const device = new L4VirtioDevice(new EchoDevice(), {
    scheduler: l.scheduler,
    page: l.device.deviceConfig(),
    ...options,
  });
  device.restore(state, memoryOf(l));
  return device;
}

describe("a device behind L4-VIRTIO", () => {
  it.each([160, 224, null] as const)("goes on where it was saved, CMD_CONFIG being %d", async (cmdConfigBit) => {
    const l = await live({ cmdConfigBit });
    const state: unknown = JSON.parse(JSON.stringify(l.device.save()));
    // Made available after the device was saved: the one that takes over finds it.
    l.host.memory.writeU32(l.block, 0x01020304);
    await l.queue.enqueue(new BufferElements().readable(l.block, 4).writable(l.block + 32, 4), 1);
    const used: number[] = [];
    l.queue.onUsed = () => void used.push(0);
    const device = new L4VirtioDevice(new EchoDevice(), {
      scheduler: l.scheduler,
      page: { dataspace: new Uint8Array(0x1000), offset: 0 },
      cmdConfigBit,
    });
    for (const index of [0, 1, 2]) device.icuBind(index, { trigger: () => l.queue.onUsed?.() });
    device.restore(state, memoryOf(l));
    expect(device.core.status).toBe(15);
    expect(new RawDriver(device, cmdConfigBit ?? 160).status).toBe(15);
    for (let turn = 0; turn < 3; turn++) l.scheduler.run();
    expect(used.length).toBeGreaterThan(0);
    expect(l.queue.dequeue()).toEqual({ token: 1, length: 4 });
    expect(l.host.memory.readU32(l.block + 32)).toBe(0xfefdfcfb);
    expect(device.save()).toMatchObject({ driverIndices: [1, 0], deviceIndices: [1, 2] });
  });

  it("has its driver look what it has missed, once it was restored", async () => {
    const l = await live();
    const state = l.device.save();
    const device = new L4VirtioDevice(new EchoDevice(), { scheduler: l.scheduler });
    const signals = [0, 0, 0];
    for (const index of signals.keys()) device.icuBind(index, { trigger: () => void signals[index]++ });
    device.restore(state, memoryOf(l));
    expect(signals).toEqual([0, 0, 0]);
    l.scheduler.run();
    expect(signals).toEqual([1, 1, 1]);
  });

  it("carries out a command that was in the page", async () => {
    const r = rig();
    const before = new RawDriver(r.device);
    before.page.store(0x7c, 0x0100_0003);
    const state = r.device.save();
    const device = new L4VirtioDevice(new EchoDevice(), { scheduler: r.scheduler });
    device.restore(state, []);
    expect(device.core.status).toBe(0);
    r.scheduler.run();
    await device.settled;
    await null;
    const driver = new RawDriver(device);
    expect([driver.status, driver.page.load(0x7c)]).toEqual([3, 0]);
  });

  it("keeps what the driver wrote into the configuration and has not yet said", async () => {
    const r = rig();
    new RawDriver(r.device).page.store(0x100, 0x1234);
    const state = r.device.save();
    const echo = new EchoDevice();
    const device = new L4VirtioDevice(echo, { scheduler: r.scheduler });
    device.restore(state, []);
    await new RawDriver(device).command(0x0400_0000);
    expect(echo.config.view.getUint32(0, true)).toBe(0x1234);
  });

  it("takes requests of its old driver after it was restored", async () => {
    const l = await live();
    const state = l.device.save();
    l.device.setStatus(0);
    l.device.restore(state, memoryOf(l));
    l.scheduler.run();
    expect(l.device.core.status).toBe(15);
    expect(await roundTrip(l.driver, 1, [1])).toEqual([0xfe]);
  });

  it("is a NIC that moves on in the middle of traffic, and loses no frame", async () => {
    const host = new ProcessHost(GuestMemory.of(new Uint8Array(4 << 20)));
    const scheduler = new ManualScheduler();
    const page = { dataspace: new Uint8Array(0x1000), offset: 0 };
    const make = (): L4VirtioDevice => {
      const nic = new NetDevice({ mac: Uint8Array.of(2, 0, 0, 0, 0, 1) });
      nic.attach(nic);
      return new L4VirtioDevice(nic, { scheduler, page });
    };
    let device = make();
    const first = directIpc(device);
    const ipc: L4Ipc = {
      ...first,
      // What the driver triggers comes to the device as it is then.
      deviceNotificationIrq: async (index) => ({ trigger: () => signal(device, index) }),
      setStatus: async (status) => device.setStatus(status),
    };
    const rig = await new DriverRig(await L4DriverTransport.connect(ipc, host), host).start();
    for (let move = 0; move < 5; move++) {
      rig.loopChecked(500, [60, 1514, 300]);
      const state = JSON.parse(JSON.stringify(device.save())) as unknown;
      device = make();
      device.restore(
        state,
        host.memory.regions.map(({ u8 }) => u8),
      );
      scheduler.run();
    }
    rig.loopChecked(500, [60, 1514, 300]);
    expect(rig.rxqs[0].counters).toMatchObject({ packets: 3000, badLength: 0, badBuffers: 0, badHeader: 0 });
    await rig.end();
    expect(device.core.status).toBe(0);
  });

  it("is saved while its driver is at work, and loses nothing", async () => {
    const l = await live();
    let device = l.device;
    const elements = new BufferElements().readable(l.block, 4).writable(l.block + 32, 4);
    for (let request = 0; request < 50; request++) {
      l.host.memory.writeU32(l.block, request);
      await l.queue.enqueue(elements, request);
      if (request % 2 === 0) l.queue.notify();
      device = successor(l, structuredClone(device.save()));
      l.scheduler.run();
      expect(l.queue.dequeue()).toEqual({ token: request, length: 4 });
      expect(l.host.memory.readU32(l.block + 32)).toBe(~request >>> 0);
    }
  });
});

describe("saved state that is not this device's", () => {
  const change = async (edit: (state: Record<string, unknown>, l: Live) => void): Promise<string> => {
    const l = await live();
    const state = structuredClone(l.device.save()) as unknown as Record<string, unknown>;
    edit(state, l);
    l.device.setStatus(0);
    const before = JSON.stringify(l.device.save());
    try {
      l.device.restore(state, memoryOf(l));
    } catch (cause) {
      if (!(cause instanceof RestoreError)) throw cause;
      // Nothing has changed.
      expect(JSON.stringify(l.device.save())).toBe(before);
      return cause.code;
    }
    return "restored";
  };

  it.each<[string, string, unknown, string]>([
    ["nothing wrong", "version", 1, "restored"],
    ["another version", "version", 2, "version"],
    ["no version", "version", undefined, "version"],
    ["another bit for CMD_CONFIG", "cmdConfigBit", 224, "mismatch"],
    ["a bit that is no number", "cmdConfigBit", "160", "shape"],
    ["no page", "page", undefined, "shape"],
    ["a page that is too short", "page", [1, 2, 3], "shape"],
    ["a page with holes", "page", new Array(1024), "shape"],
    ["an IRQ object of the driver's past the last", "driverIndices", [3, 0], "mismatch"],
    ["an IRQ object of the device's past the last", "deviceIndices", [0, 3], "mismatch"],
    ["an index too few", "deviceIndices", [0], "shape"],
    ["dataspaces that are no list", "dataspaces", {}, "shape"],
    ["a dataspace too few", "dataspaces", [{ base: 0x10000, offset: 0, size: 0x10000 }], "mismatch"],
    ["a dataspace that is none", "dataspaces", [null, null], "shape"],
    ["a dataspace without numbers", "dataspaces", [{}, {}], "shape"],
    ["no state machine", "core", undefined, "shape"],
  ])("is refused, or taken, with %s", async (_, field, value, code) => {
    expect(await change((state) => Object.assign(state, { [field]: value }))).toBe(code);
  });

  it.each([
    ["overlap", [0x10000, 0, 0x10000], [0x18000, 0, 0x1000]],
    ["are the same twice", [0x10000, 0, 0x1000], [0x10000, 0, 0x1000]],
    ["are larger than what is given", [0x10000, 0, 0x10000], [0x8000_0000, 0, 0x2000]],
    ["lie past 2^53", [0x10000, 0, 0x10000], [2 ** 53, 0, 0x1000]],
    ["are not numbers one can count with", [0x10000, 0, 0x10000], [Number.NaN, 0, 0x1000]],
    ["are not where the queue is", [0x90000, 0, 0x10000], [0x8000_0000, 0, 0x1000]],
  ])("is refused where dataspaces %s", async (_, ...places) => {
    const dataspaces = places.map(([base, offset, size]) => ({ base, offset, size }));
    expect(await change((state) => Object.assign(state, { dataspaces }))).toBe("state");
  });

  it("is refused by a device that is in use", async () => {
    const l = await live();
    const state = l.device.save();
    expect(() => l.device.restore(state, memoryOf(l))).toThrow(
      expect.objectContaining({ name: "RestoreError", code: "in-use" }),
    );
  });

  it("is refused, or taken and good, whatever an enemy has made of it", async () => {
    const l = await live();
    const state = l.device.save();
    const random = randomNumbers(0x5a7e);
    const codes = new Set<string>();
    for (let round = 0; round < rounds(3000); round++) {
      const device = new L4VirtioDevice(new EchoDevice(), { scheduler: l.scheduler });
      const hostile = tamperedState(state, random);
      try {
        device.restore(hostile, memoryOf(l));
        codes.add("restored");
        l.scheduler.run();
        for (const index of [0, 1, 2]) {
          signal(device, index);
        }
        device.setStatus(0);
        expect(device.core.status).toBe(0);
      } catch (cause) {
        if (!(cause instanceof RestoreError)) throw cause;
        codes.add(cause.code);
        expect(device.core.status).toBe(0);
      }
    }
    expect([...codes].sort()).toEqual(["mismatch", "restored", "shape", "state", "version"]);
  });
});
