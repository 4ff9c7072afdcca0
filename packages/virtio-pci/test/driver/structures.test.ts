import { FlexibleDevice, RecordingDevice } from "@virtio-ts/virtio-device/testing";
import { FreeList } from "@virtio-ts/virtio-driver";
import type { PciBarKind, PciHost, RegisterBlock } from "@virtio-ts/vm-device";
import { PciConfigSpace, type PciFunction } from "@virtio-ts/vm-device";
import { MemoryRegion } from "@virtio-ts/vm-memory";
import { describe, expect, it } from "vitest";
import { CONFIG, connect, NOTIFY, onBus, STRUCTURES, start } from "../support/driven.ts";
import { DriverBus } from "../support/driver-bus.ts";

const refusal = (code: string) => expect.objectContaining({ name: "DriverError", code });

const COMMON_CFG = 1;
const NOTIFY_CFG = 2;
const ISR_CFG = 3;
const DEVICE_CFG = 4;
const SHM_CFG = 8;

/** Fields of a capability, and a well-behaved one of each type. */
interface Cap {
  readonly type: number;
  readonly bar?: number;
  readonly id?: number;
  readonly offset: number;
  readonly length: number;
  readonly capLen?: number;
  /** What follows: the multiplier, or the upper halves. */
  readonly more?: readonly number[];
}

const GOOD: Record<string, Cap> = {
  common: { type: COMMON_CFG, offset: 0, length: 0x40 },
  notify: { type: NOTIFY_CFG, offset: 0x100, length: 0x40, capLen: 20, more: [4, 0, 0, 0] },
  isr: { type: ISR_CFG, offset: 0x80, length: 1 },
  device: { type: DEVICE_CFG, offset: 0x200, length: 0x20 },
};

/** A function with these capabilities, and a BAR 1 of 4 KiB of bytes. */
class MadeUp implements PciFunction {
  readonly space = new PciConfigSpace({
    identity: { vendorId: 0x1af4, deviceId: 0x1044, classCode: 0, subsystemVendorId: 0x1af4, subsystemId: 4 },
    interruptPin: 1,
  });
  readonly bytes = new DataView(new ArrayBuffer(0x1000));

  constructor(caps: readonly Cap[], kind: PciBarKind = "memory32") {
    this.space.addBar({ index: 1, kind, size: 0x1000, prefetchable: false, block: this.#block() });
    for (const { type, bar = 1, id = 0, offset, length, capLen = 16, more = [] } of caps) {
      const body = new DataView(new ArrayBuffer(14 + more.length));
      for (const [at, value] of [capLen, type, bar, id].entries()) body.setUint8(at, value);
      body.setUint32(6, offset, true);
      body.setUint32(10, length, true);
      more.forEach((byte, i) => void body.setUint8(14 + i, byte));
      this.space.addCapability(9, new Uint8Array(body.buffer));
    }
  }

  get bars() {
    return this.space.bars;
  }

  configRead(offset: number, width: 1 | 2 | 4): number {
    return this.space.read(offset, width);
  }

  configWrite(offset: number, width: 1 | 2 | 4, value: number): void {
    this.space.write(offset, width, value);
  }

  plug(host: PciHost): void {
    this.space.plug(host);
  }

  unplug(): void {
    this.space.unplug();
  }

  #block(): RegisterBlock {
    const { bytes } = this;
    return {
      size: 0x1000,
      read: (at, width) =>
        width === 1 ? bytes.getUint8(at) : width === 2 ? bytes.getUint16(at, true) : bytes.getUint32(at, true),
      write: (at, width, value) => {
        if (width === 1) bytes.setUint8(at, value);
        else if (width === 2) bytes.setUint16(at, value, true);
        else bytes.setUint32(at, value, true);
      },
    };
  }
}

/** Connects a function with these capabilities. */
function connected(caps: readonly Cap[]) {
  const bus = new DriverBus().plug(new MadeUp(caps));
  const [found] = bus.finder().devices();
  return { bus, transport: found.connect() };
}

/** A bus with a function whose last capability consists of these bytes, at this place. */
function listEndsWith(caps: readonly Cap[], at: number, capability: readonly number[]) {
  const fn = new MadeUp(caps);
  const { bytes } = fn.space;
  const last = [...bytes.keys()].find((i) => i >= 0x40 && bytes[i] === 9 && bytes[i + 1] === 0) as number;
  bytes[last + 1] = at;
  bytes.set(capability.slice(0, 256 - at), at);
  return { bus: new DriverBus().plug(fn), fn };
}

const without = (name: string): Cap[] =>
  Object.entries(GOOD)
    .filter(([key]) => key !== name)
    .map(([, cap]) => cap);
const changed = (name: string, change: Partial<Cap>): Cap[] =>
  Object.entries(GOOD).map(([key, cap]) => (key === name ? { ...cap, ...change } : cap));

describe("virtio structures (4.1.4)", () => {
  it("are found where their capabilities say", () => {
    const { bus, transport } = connected(Object.values(GOOD));
    expect(transport.configSize).toBe(0x20);
    bus.clear();
    transport.readStatus();
    transport.readConfig(4, 4);
    expect(bus.accesses.map(({ offset, width }) => [offset, width])).toEqual([
      [20, 1],
      [0x204, 4],
    ]);
  });

  it("of a reserved type are passed over [pci.driver.virtio-structure-pci-capabilities.1]", () => {
    for (const type of [0, 6, 7, 10, 255]) {
      const { transport } = connected([{ ...GOOD.device, type, bar: 9 }, ...Object.values(GOOD)]);
      expect(transport.configSize).toBe(0x20);
      expect(() => connected([{ ...GOOD.common, type }])).toThrow("has no legacy interface"); // as if it had none at all
    }
  });

  it("in a reserved BAR are passed over [pci.driver.virtio-structure-pci-capabilities.4]", () => {
    for (const bar of [6, 7, 255]) {
      const { transport } = connected([{ ...GOOD.device, bar, length: 0x30 }, ...Object.values(GOOD)]);
      expect(transport.configSize).toBe(0x20);
      expect(connected(changed("device", { bar })).transport.configSize).toBe(0);
      expect(() => connected(changed("common", { bar }))).toThrow("has no common structure");
    }
  });

  it("are used in the first instance that can be [pci.driver.virtio-structure-pci-capabilities.2]", () => {
    const second = { ...GOOD.device, offset: 0x300, length: 0x10 };
    expect(connected([...Object.values(GOOD), second]).transport.configSize).toBe(0x20);
    const lies = { ...GOOD.device, offset: 0x1000 };
    expect(connected([lies, second, ...without("device")]).transport.configSize).toBe(0x10);
  });

  it("may have longer capabilities than are known [pci.driver.virtio-structure-pci-capabilities.3]", () => {
    for (const name of Object.keys(GOOD)) {
      expect(connected(changed(name, { capLen: 60 })).transport.configSize).toBe(0x20);
    }
  });

  it("may be longer than is known, but not shorter than is needed [pci.driver.virtio-structure-pci-capabilities.6]", () => {
    for (const name of ["common", "notify", "isr", "device"]) {
      const length = 0x1000 - GOOD[name].offset;
      expect(connected(changed(name, { length })).transport.configSize).toBe(name === "device" ? length : 0x20);
    }
    for (const [name, length] of [
      ["common", 0x37],
      ["notify", 1],
      ["isr", 0],
      ["device", 0],
    ] as const) {
      expect(() => connected(changed(name, { length }))).toThrow(refusal("bad-capability"));
    }
  });

  it.each(["common", "notify", "isr"])("without a %s structure are of no use", (name) => {
    expect(() => connected(without(name))).toThrow(refusal("bad-capability"));
  });

  it("need none for the configuration of a device that has none", () => {
    expect(connected(without("device")).transport.configSize).toBe(0);
    expect(connected(without("device")).transport.readConfig(0, 4)).toBe(0);
  });

  it.each([
    ["common", { offset: 0x1000 - 0x3f, length: 0x40 }],
    ["common", { offset: 2 }],
    ["common", { bar: 0 }],
    ["common", { offset: 0xffff_fffc, length: 0xffff_ffff }],
    ["common", { capLen: 15 }],
    ["notify", { capLen: 19 }],
    ["notify", { offset: 0xfff, length: 2 }],
    ["notify", { offset: 0x101 }],
    ["isr", { offset: 0x1000 }],
    ["device", { length: 0x1000 }],
    ["device", { offset: 0x201 }],
  ] as const)("are not believed where they can't be: %s %o", (name, change) => {
    expect(() => connected(changed(name, change))).toThrow(refusal("bad-capability"));
  });

  it("are found in a list that runs in a circle", () => {
    const fn = new MadeUp(Object.values(GOOD));
    const bus = new DriverBus().plug(fn);
    const last = [...fn.space.bytes.keys()].find(
      (at) => at >= 0x40 && fn.space.bytes[at] === 9 && fn.space.bytes[at + 1] === 0,
    );
    fn.space.bytes[(last ?? 0) + 1] = 0x40;
    const [found] = bus.finder().devices();
    expect(found.connect().configSize).toBe(0x20);
    fn.space.bytes[0x41] = 0x40; // and in one that is its own end
    expect(() => found.connect()).toThrow(refusal("bad-capability"));
  });

  it("are not looked for past the end of configuration space", () => {
    const fn = new MadeUp(Object.values(GOOD));
    const bus = new DriverBus().plug(fn);
    fn.space.bytes[0x34] = 0xf8; // a capability of which only 8 bytes are there
    fn.space.bytes.set([9, 0, 16, 1, 1], 0xf8);
    const [found] = bus.finder({ interface: "modern" }).devices();
    expect(() => found.connect()).toThrow("has no common structure");
    fn.space.bytes.set([0x11, 0], 0xf8);
    expect(() => found.connect()).toThrow("has no common structure");
    for (const { offset, width } of bus.configAccesses) expect(offset + width).toBeLessThanOrEqual(256);
  });

  it.each([
    [0xf0, true],
    [0xf4, false],
  ])("at %s, the ISR structure's capability is used: %s, for it has 16 bytes", (at, used) => {
    const { bus } = listEndsWith(without("isr"), at, [9, 0, 16, ISR_CFG, 1, 0, 0, 0, 0x80, 0, 0, 0, 1, 0, 0, 0]);
    const [found] = bus.finder().devices();
    if (used) expect(found.connect().readIsr()).toBe(0);
    else expect(() => found.connect()).toThrow("has no ISR structure");
    for (const { offset, width } of bus.configAccesses) expect(offset + width).toBeLessThanOrEqual(256);
  });

  it.each([
    [0xec, true],
    [0xf0, false],
  ])("at %s, the window is used: %s, for it has 20 bytes", (at, used) => {
    const { bus } = listEndsWith(Object.values(GOOD), at, [9, 0, 20, 5]);
    const [found] = bus.finder({ mmio: null }).devices();
    if (used) expect(found.connect().configSize).toBe(0x20);
    else expect(() => found.connect()).toThrow("BAR 1 is out of reach");
    for (const { offset, width } of bus.configAccesses) expect(offset + width).toBeLessThanOrEqual(256);
  });

  it.each([
    [0xf4, true],
    [0xf8, false],
  ])("at %s, the messages' table is used: %s, for it has 12 bytes", async (at, used) => {
    const twoVectors = [0x11, 0, 1, 0, 1, 4, 0, 0]; // at 0x400 of BAR 1
    const { bus, fn } = listEndsWith(Object.values(GOOD), at, twoVectors);
    const [found] = bus.finder().devices();
    const transport = found.connect();
    await transport.bindInterrupts({ used: () => {}, configChanged: () => {} }, 1);
    expect(fn.bytes.getUint32(0x400, true)).toBe(used ? 0xfee0_0000 : 0);
    for (const { offset, width } of bus.configAccesses) expect(offset + width).toBeLessThanOrEqual(256);
  });

  it.each([
    [0x38, []],
    [0x39, []],
    [0x3a, [39]],
    [0x3b, [39]],
    [0x3c, [39, 40]],
  ])("have the features that a common structure of %s bytes has room for", (length, features) => {
    const { bus, transport } = connected(changed("common", { length }));
    bus.onRead = ({ offset, value }) => (offset === 4 ? 0xffff_ffff : value);
    const offered = transport.readFeatures();
    expect([39, 40].filter((bit) => (offered & (1n << BigInt(bit))) !== 0n)).toEqual(features);
  });

  it("leave the list where it leads into the header", () => {
    const fn = new MadeUp(Object.values(GOOD));
    const bus = new DriverBus().plug(fn);
    fn.space.bytes[0x34] = 0x28;
    fn.space.bytes[0x29] = 0x40; // and, were it followed, back to the capabilities
    const [found] = bus.finder({ interface: "modern" }).devices();
    expect(() => found.connect()).toThrow("has no common structure");
  });

  it("have their capabilities left as they are [pci.driver.virtio-structure-pci-capabilities.7]", async () => {
    const driven = onBus();
    const { bus } = driven;
    const device = await start(driven);
    await device.close();
    const writes = bus.configAccesses.filter(({ write, offset }) => write && offset >= 0x40);
    const bytes = driven.fn.space.bytes;
    expect(writes.length).toBeGreaterThan(0);
    for (const { offset } of writes) {
      expect(bytes[offset - 2]).toBe(0x11); // MSI-X's message control
    }
  });

  it("of vendors' own data are not looked into, nor is that written [pci.driver.vendor-data-capability.1] [pci.driver.vendor-data-capability.2]", async () => {
    const driven = onBus({ vendorData: [{ vendorId: 0x1b36, data: new Uint8Array(8) }] });
    const { bytes } = driven.fn.space;
    const at = [...bytes.keys()].find((i) => i >= 0x40 && bytes[i] === 9 && bytes[i + 3] === 9) as number;
    await start(driven);
    const touched = driven.bus.configAccesses.filter(({ offset }) => offset >= at + 4 && offset < at + bytes[at + 2]);
    expect(touched).toEqual([]);
  });
});

describe("BARs", () => {
  it("are sized, and keep the place that firmware gave them", async () => {
    const driven = onBus();
    driven.fn.configWrite(0x04, 2, 0x0400);
    connect(driven);
    expect(driven.fn.configRead(0x18, 4) & ~15).toBe(0x30_0000);
    expect(driven.fn.configRead(0x04, 2)).toBe(0x0406);
  });

  it("that have no place get one, below 4 GiB and as aligned as they are large", () => {
    const { bus, fn, device } = onBus();
    for (const at of [0x14, 0x18, 0x1c]) fn.configWrite(at, 4, 0);
    const mmio = new FreeList(0xe000_0800, 0xf000_0000);
    expect(connect({ bus, fn, device }, { windows: { mmio } }).deviceType).toBe(4);
    const [msix, structures] = [0x14, 0x18].map((at) => fn.configRead(at, 4) & ~15);
    expect((msix >>> 0) % 0x1000).toBe(0);
    expect((structures >>> 0) % 0x4000).toBe(0);
    expect(mmio.taken).toBe(2);
    connect({ bus, fn, device }, { windows: { mmio } });
    expect(mmio.taken).toBe(2);
  });

  it("may lie above 4 GiB", async () => {
    const driven = onBus();
    driven.fn.configWrite(0x1c, 4, 9);
    await start(driven);
    expect(driven.fn.configRead(0x1c, 4)).toBe(9);
    expect(driven.bus.accesses.some(({ bar }) => bar === STRUCTURES)).toBe(true);
  });

  it("that point nowhere an address can be get a place", async () => {
    const driven = onBus();
    driven.fn.configWrite(0x18, 4, 0);
    driven.fn.configWrite(0x1c, 4, 0xffff_ffff);
    await start(driven, { windows: { mmio: new FreeList(0xe000_0000, 0xf000_0000) } });
    expect([driven.fn.configRead(0x18, 4), driven.fn.configRead(0x1c, 4)]).toEqual([0xe000_0004, 0]);
  });

  it("stay where they are when their neighbour gets a place", () => {
    const driven = onBus();
    driven.fn.configWrite(0x14, 4, 0);
    connect(driven, { windows: { mmio: new FreeList(0xe000_0000, 0xf000_0000) } });
    expect([driven.fn.configRead(0x14, 4), driven.fn.configRead(0x18, 4)]).toEqual([0xe000_0000, 0x30_0004]);
  });

  it("are never written while they decode", () => {
    const { bus, fn, device } = onBus();
    let decoding = 0;
    connect({ bus, fn, device });
    let command = 0;
    for (const { write, offset, value } of bus.configAccesses) {
      if (write && offset === 4) command = value;
      if (write && offset >= 0x10 && offset < 0x28 && (command & 3) !== 0) decoding++;
    }
    expect(decoding).toBe(0);
    expect(bus.configAccesses.some(({ write, offset }) => write && offset === 0x18)).toBe(true);
  });

  it.each([
    ["type 2 of memory", 0x30_0002, 0xffff_c002],
    ["no writable bit", 0x00, 0x0000_0000],
  ])("that can't be are passed over: %s", (_, value, mask) => {
    const { bus, fn, device } = onBus();
    let probing = false;
    bus.onConfigRead = (access) => {
      if (access.offset !== 0x18) return access.value;
      probing = bus.configAccesses.some(({ write, offset, value: v }) => write && offset === 0x18 && v === 0xffff_ffff);
      return probing ? mask : value;
    };
    expect(() => connect({ bus, fn, device })).toThrow(refusal("bad-capability"));
  });

  it("of I/O may be at any multiple of 4, if they have 4 bytes (PCI 3.0, 6.2.5.1)", () => {
    const fn = new MadeUp(changed("isr", { bar: 0, offset: 0 }));
    const block: RegisterBlock = { size: 4, read: () => 2, write: () => {} };
    fn.space.addBar({ index: 0, kind: "io", size: 4, prefetchable: false, block });
    const bus = new DriverBus().plug(fn);
    fn.configWrite(0x10, 4, 0x1004);
    const [found] = bus.finder().devices();
    expect(found.connect().readIsr()).toBe(2);
  });

  it("larger than any machine are none", () => {
    const { bus, fn, device } = onBus();
    bus.onConfigRead = ({ offset, value }) => {
      const probing = bus.configAccesses.some(
        (access) => access.write && access.offset === offset && access.value === 0xffff_ffff,
      );
      if (offset === 0x18) return probing ? 4 : 0x30_0004;
      return offset === 0x1c && probing ? 0x8000_0000 : value;
    };
    expect(() => connect({ bus, fn, device })).toThrow(refusal("bad-capability"));
  });

  it("of 64 bits at the last register are none", () => {
    const { bus, fn, device } = onBus();
    bus.onConfigRead = ({ offset, value }) => (offset === 0x24 ? 0xffff_fff4 : value);
    expect(connect({ bus, fn, device }).deviceType).toBe(4);
    expect(bus.configAccesses.some(({ write, offset }) => write && offset === 0x28)).toBe(false);
  });
});

describe("the window in configuration space (4.1.4.9)", () => {
  it("stands in for a BAR that is out of reach: aligned, and inside a structure [pci.driver.pci-configuration-access-capability.1] [pci.driver.pci-configuration-access-capability.2]", async () => {
    const driven = onBus({}, new FlexibleDevice({ deviceType: 4, configSize: 12 }));
    const { bus } = driven;
    const device = await start(driven, { mmio: null });
    expect(device.config.read32(8)).toBe(0);
    device.config.write16(2, 0x1234);
    expect(bus.accesses).toEqual([]);
    expect(driven.device.config.bytes[3]).toBe(0x12);
    const { bytes } = driven.fn.space;
    const at = [...bytes.keys()].find((i) => i >= 0x40 && bytes[i] === 9 && bytes[i + 3] === 5) as number;
    const window = { bar: 0, offset: 0, length: 0 };
    let transfers = 0;
    for (const { write, offset, width, value } of bus.configAccesses) {
      if (write && offset === at + 4) window.bar = value;
      if (write && offset === at + 8) window.offset = value;
      if (write && offset === at + 12) window.length = value;
      if (offset !== at + 16) continue;
      transfers++;
      expect(window.length).toBe(width);
      expect(window.offset % window.length).toBe(0);
      expect(window.bar).toBe(STRUCTURES);
      const inside = [
        [0, 64],
        [0x1000, 4],
        [CONFIG, 12],
        [NOTIFY, 8],
      ].some(([start, length]) => window.offset >= start && window.offset + width <= start + length);
      expect(inside).toBe(true);
    }
    expect(transfers).toBeGreaterThan(20);
    driven.device.context?.queues[0]?.notifier.notify(); // messages are out of reach: the pin
    expect(bus.host.lines.stuck).toBe(0);
  });

  it("does not help where there is none", () => {
    const bus = new DriverBus().plug(new MadeUp(Object.values(GOOD)));
    const [found] = bus.finder({ mmio: null }).devices();
    expect(() => found.connect()).toThrow("BAR 1 is out of reach");
  });
});

describe("shared memory regions (4.1.4.7)", () => {
  it("are where the BAR is, by their ids", () => {
    const region = (
      id: number,
      offset: number,
      length: number,
      more: readonly number[] = [0, 0, 0, 0, 0, 0, 0, 0],
    ): Cap => ({
      type: SHM_CFG,
      id,
      offset,
      length,
      capLen: 24,
      more,
    });
    const caps = [region(3, 0x400, 0x100), region(7, 0x800, 0x800), region(3, 0x500, 1), ...Object.values(GOOD)];
    const { transport } = connected(caps.slice(0, 7));
    expect(transport.sharedMemory(3)).toEqual({ address: 0x20_0400, length: 0x100 });
    expect(transport.sharedMemory(7)).toEqual({ address: 0x20_0800, length: 0x800 });
    expect(transport.sharedMemory(4)).toBeNull();
    const lies = connected([region(3, 0x400, 0x100, [0, 0, 0, 0, 1, 0, 0, 0]), ...Object.values(GOOD)]).transport;
    expect(() => lies.sharedMemory(3)).toThrow(refusal("bad-capability"));
  });

  it("are our own device's", () => {
    const backing = new MemoryRegion(0x4000_0000, new Uint8Array(0x2000));
    const sharedMemory = {
      guestAddress: 0,
      length: 0x2000,
      backing,
      regions: [{ id: 5, offset: 0x1000, length: 0x800 }],
    };
    const driven = onBus({ sharedMemory }, new RecordingDevice({ deviceType: 4 }));
    expect(connect(driven).sharedMemory(5)).toEqual({ address: 0x50_1000, length: 0x800 });
  });
});
