/**
 * The defects that L4Re's own implementation is known for: none of them is here.
 * @module
 */

import type { ActivationContext, VirtioDevice } from "@virtio-ts/virtio-device";
import { NetbufPool, NetDriver } from "@virtio-ts/virtio-net/driver";
import { ChainBurst } from "@virtio-ts/virtio-queue";
import { MockSplitDriver } from "@virtio-ts/virtio-queue/testing";
import { describe, expect, it } from "vitest";
import { directIpc, L4VirtioDevice } from "../src/device/index.ts";
import { L4DriverTransport } from "../src/driver/index.ts";
import { guestMemory, MEMORY_BASE, rig } from "./support/echo.ts";
import { RawDriver, VERSION_1 } from "./support/page.ts";

const INDIRECT_DESC = 1n << 28n;
const VIRTQ_DESC_F_NEXT = 1;
const VIRTQ_DESC_F_INDIRECT = 4;

/** A live device whose first queue is a mock driver's, and the codes of its faults. */
function withRing(features = VERSION_1): { driver: RawDriver; ring: MockSplitDriver; faults: string[] } {
  const faults: string[] = [];
  const { device } = rig({ onFault: (fault) => faults.push(String((fault.cause as { code: string }).code)) });
  const driver = new RawDriver(device);
  const memory = guestMemory();
  device.setStatus(3);
  device.registerDs(memory.regions[0].u8, MEMORY_BASE, 0, 0x10000);
  driver.writeFeatures(features);
  device.setStatus(11);
  const ring = new MockSplitDriver(memory, { size: 8, base: MEMORY_BASE });
  const { descriptorArea, driverArea, deviceArea } = ring.areas;
  driver.place(0, { halves: [descriptorArea, 0, driverArea, 0, deviceArea, 0] });
  device.setStatus(15);
  expect(driver.status).toBe(15);
  return { driver, ring, faults };
}

function kick(driver: RawDriver): void {
  const irq = driver.device.deviceNotificationIrq(1);
  if (typeof irq !== "number") irq.trigger();
}

describe("L4Re's defects", () => {
  it("NOTIFY_QUEUE through the command field is not handled: here it is", async () => {
    const { driver, ring } = withRing();
    ring.offer([{ bytes: Uint8Array.of(1) }, { length: 1, writable: true }]);
    await driver.command(0x0800_0000);
    expect(ring.collect()).toEqual([{ head: 0, length: 1 }]);
    expect(driver.page.load(0x7c)).toBe(0);
  });

  it("feature bits from 192 on hit reserved words: here they hit nothing", () => {
    const { device } = rig();
    const driver = new RawDriver(device);
    driver.begin();
    const [generation, reserved] = [driver.page.load(0xfc), driver.page.load(0xd8)];
    driver.writeFeatures(VERSION_1 | (1n << 192n) | (1n << 224n));
    expect([driver.page.load(0xf8), driver.page.load(0xfc)]).toEqual([0, generation]);
    // Words behind the map are none of it, whatever the driver writes there.
    driver.page.store(0xf8, 0xffff_ffff);
    device.setStatus(11);
    expect(driver.status).toBe(11);
    expect(driver.page.load(0xd8)).toBe(reserved);
    expect(driver.page.loadFeatures(0xc0) >> 192n).toBe(0n);
  });

  it("feature bit 224 hits reserved words: here it has a header with room for it", () => {
    const { device } = rig({ cmdConfigBit: 224 });
    const driver = new RawDriver(device, 224);
    expect(driver.page.load(0xa8 + 28)).toBe(1);
    driver.begin();
    driver.writeFeatures(VERSION_1 | (1n << 224n));
    expect(driver.page.load(0xc8 + 28)).toBe(1);
    device.setStatus(11);
    expect(driver.status).toBe(11);
    driver.device.setStatus(0);
    driver.begin();
    driver.writeFeatures(VERSION_1 | (1n << 225n));
    device.setStatus(11);
    expect(driver.status).toBe(3);
  });

  it("the ring's head index is not checked: here one past the table stops the device", () => {
    const { driver, ring, faults } = withRing();
    ring.setAvail(0, 8);
    ring.setAvailIndex(1);
    kick(driver);
    expect(faults).toEqual(["head-out-of-range"]);
    expect(driver.status).toBe(79);
  });

  it("walks of chains have no bound: here a loop stops the device", () => {
    const { driver, ring, faults } = withRing();
    const loop = { address: MEMORY_BASE + 0x8000, length: 1, flags: VIRTQ_DESC_F_NEXT };
    ring.setDescriptor(0, { ...loop, next: 1 });
    ring.setDescriptor(1, { ...loop, next: 0 });
    ring.setAvail(0, 0);
    ring.setAvailIndex(1);
    kick(driver);
    expect(faults).toEqual(["chain-too-long"]);
    expect(driver.status).toBe(79);
  });

  it("nested indirect tables are not rejected: here one stops the device", () => {
    const { driver, ring, faults } = withRing(VERSION_1 | INDIRECT_DESC);
    const table = MEMORY_BASE + 0x8000;
    const nested = { address: table, length: 16, flags: VIRTQ_DESC_F_INDIRECT };
    ring.setDescriptor(0, nested);
    ring.table([nested], table);
    ring.setAvail(0, 0);
    ring.setAvailIndex(1);
    kick(driver);
    expect(faults).toEqual(["indirect-nested"]);
    expect(driver.status).toBe(79);
  });

  it("the receive length underflows when it is shorter than the header: here such a packet is dropped", async () => {
    const nic = new ShortNic(5);
    const { scheduler, host } = rig();
    const device = new L4VirtioDevice(nic, { scheduler });
    const driver = new NetDriver(await L4DriverTransport.connect(directIpc(device), host), host);
    await driver.probe();
    driver.configure(1, 1);
    const pool = new NetbufPool(host, { count: 8 });
    const rx = driver.rxqConfigure(0, 4, { pool, allocate: pool.allocateInto });
    driver.txqConfigure(0, 4, { pool });
    await driver.start();
    nic.receive();
    expect(rx.rxOne() & 1).toBe(0);
    expect(rx.counters).toMatchObject({ packets: 0, bytes: 0, badLength: 1 });
  });

  it("removing a region shifts those behind it wrongly: here one is replaced, and all are where they belong", () => {
    const { device } = rig();
    const space = (value: number): Uint8Array => new Uint8Array(0x1000).fill(value);
    const bases = [0x1000, 0x2000, 0x3000, 0x4000, 0x5000];
    bases.forEach((base, i) => void device.registerDs(space(i), base, 0, 0x1000));
    expect(device.registerDs(space(9), 0x2000, 0, 0x1000)).toBe(0);
    expect(bases.map((base) => device.core.memory.readU8(base))).toEqual([0, 9, 2, 3, 4]);
    expect(bases.map((base) => device.core.memory.readU8(base + 0xfff))).toEqual([0, 9, 2, 3, 4]);
    expect(device.core.memory.regions.length).toBe(5);
  });

  it("FEATURES_OK and DRIVER_OK set together skip the check of the features: here neither is set", () => {
    const { device } = rig();
    const driver = new RawDriver(device);
    driver.begin();
    driver.writeFeatures(VERSION_1 | 1n);
    device.setStatus(15);
    expect(driver.status).toBe(3);
    expect(device.core.counters).toMatchObject({ activations: 0, faults: 0 });
    driver.writeFeatures(VERSION_1 | (1n << 170n));
    device.setStatus(15);
    expect(driver.status).toBe(3);
    driver.writeFeatures(VERSION_1);
    device.setStatus(15);
    expect(driver.status).toBe(15);
  });
});

/** A NIC whose packets are as long as it says, even where that is shorter than a header. */
class ShortNic implements VirtioDevice {
  readonly deviceType = 1;
  readonly queueMaxSizes = [4, 4];
  readonly configSize = 24;
  readonly #length: number;
  #context: ActivationContext | null = null;

  constructor(length: number) {
    this.#length = length;
  }

  activate(context: ActivationContext): void {
    this.#context = context;
  }

  queueNotify(): void {}

  receive(): void {
    const active = this.#context?.queues[0];
    if (!this.#context || !active) throw new Error("the NIC is not live");
    const burst = new ChainBurst(this.#context.memory);
    active.queue.pop(burst, 1);
    active.queue.push(burst.heads[0], this.#length);
    active.queue.flush();
    active.notifier.notify();
  }

  reset(): void {
    this.#context = null;
  }
}
