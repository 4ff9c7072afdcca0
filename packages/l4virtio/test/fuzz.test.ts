/**
 * A driver gone mad: it writes anywhere in the config page, calls any operation with any argument, signals any IRQ
 * object, and writes anywhere in the rings.
 * @module
 */

import { rounds } from "@virtio-ts/rounds";
import { fuzzRegisters, randomNumbers } from "@virtio-ts/virtio-device/testing";
import type { RegisterBlock } from "@virtio-ts/vm-device";
import { expect, test } from "vitest";
import { L4VirtioDevice } from "../src/device/index.ts";
import { L4_EOK, l4ResultName } from "../src/layout/index.ts";
import { EchoDevice, MEMORY_BASE, rig } from "./support/echo.ts";
import { RawDriver, VERSION_1 } from "./support/page.ts";

const ACCESSES = rounds(1_000_000);
const SEED = 0x14e;
const RING_RESET = 1n << 40n;
const SUSPEND = 1n << 43n;
const EVENT_IDX = 1n << 29n;

/** Nothing but the bytes it is about may change around these. */
const GUARD = 0x1000;

function guarded(size: number): { readonly bytes: Uint8Array; readonly intact: () => boolean } {
  const all = new Uint8Array(GUARD + size + GUARD).fill(0xee);
  const bytes = all.subarray(GUARD, GUARD + size).fill(0);
  const outside = [all.subarray(0, GUARD), all.subarray(GUARD + size)];
  return { bytes, intact: () => outside.every((part) => part.every((byte) => byte === 0xee)) };
}

test("a million random accesses throw nothing, reach nothing else and lead to no state that the standard does not know", () => {
  const { scheduler } = rig();
  const random = randomNumbers(SEED);
  const page = guarded(0x1000);
  const ram = guarded(0x10000);
  const other = guarded(0x1000);
  const device = new L4VirtioDevice(new EchoDevice(), {
    scheduler,
    page: { dataspace: new Uint8Array(page.bytes.buffer), offset: GUARD },
    maxDataspaces: 4,
  });
  const driver = new RawDriver(device);
  const results = new Set<string>();
  let signals = 0;
  const answered = (result: unknown): void => {
    if (typeof result === "number") results.add(l4ResultName(result as 0));
    expect(result).toBeDefined();
  };

  const view = new DataView(page.bytes.buffer, page.bytes.byteOffset, 0x1000);
  const configPage: RegisterBlock = {
    size: 0x1000,
    read: (offset, width) =>
      width === 1 ? view.getUint8(offset) : width === 2 ? view.getUint16(offset, true) : view.getUint32(offset, true),
    write: (offset, width, value) => {
      if (width === 1) view.setUint8(offset, value);
      else if (width === 2) view.setUint16(offset, value, true);
      else view.setUint32(offset, value, true);
    },
  };
  // What is written to the second block is an argument, where it is written the operation.
  const operations: ((value: number) => void)[] = [
    (value) => answered(device.setStatus(value)),
    (value) => answered(device.configQueue(value)),
    (value) =>
      answered(device.registerDs(random(2) === 0 ? other.bytes : ram.bytes, value, 8 * random(600), 8 * random(600))),
    (value) => answered(device.deviceNotificationIrq(value)),
    (value) => answered(device.icuBind(value, { trigger: () => void signals++ })),
    (value) => answered(device.registerIface(value % 2 === 0 ? null : { trigger: () => void signals++ })),
    (value) => trigger(value),
    (value) => {
      driver.page.store(0x7c, ([1, 2, 4, 8, 3][random(5)] << 24) | (value & 0xff_ffff));
      trigger(0);
    },
    (value) =>
      new DataView(ram.bytes.buffer, ram.bytes.byteOffset).setUint32((4 * random(0x400)) % 0x10000, value, true),
  ];
  const trigger = (index: number): void => {
    const irq = device.deviceNotificationIrq(index % 4);
    if (typeof irq !== "number") irq.trigger();
  };
  const ipc: RegisterBlock = {
    size: 0x100,
    read: (_, width) => device.core.status % 2 ** (8 * width),
    write: (offset, _, value) => operations[offset % operations.length](value),
  };
  const begin = (): void => {
    device.setStatus(0);
    device.setStatus(3);
    device.registerDs(ram.bytes, MEMORY_BASE, 0, 0x10000);
    driver.writeFeatures(VERSION_1 | RING_RESET | SUSPEND | (random(2) === 0 ? EVENT_IDX : 0n));
  };
  const live = (): void => {
    begin();
    ram.bytes.fill(0);
    for (let index = 0; index < device.icuInfo(); index++) device.icuBind(index, { trigger: () => void signals++ });
    device.setStatus(11);
    driver.place(0);
    driver.place(1);
    device.setStatus(15);
    answered(device.registerDs(ram.bytes, MEMORY_BASE, 0, 0x10000)); // again: the device is in the midst of it
  };
  /** Offers a request of four bytes with room for as many, whatever became of the rings. */
  const request = (): void => {
    const words = new Uint32Array(ram.bytes.buffer, ram.bytes.byteOffset, 0x4000);
    words.set([MEMORY_BASE + 0x4000, 0, 4, 0x1_0001, MEMORY_BASE + 0x5000, 0, 4, 0x2]);
    words[0x100 / 4] = ((words[0x100 / 4] >>> 16) + 1) << 16;
    trigger(1);
  };
  const events = [
    begin,
    live,
    live,
    request,
    request,
    () => scheduler.run(),
    () => trigger(1),
    () => device.setStatus(0x1b),
  ];

  const { statuses, activations } = fuzzRegisters({
    seed: SEED,
    accesses: ACCESSES,
    blocks: [configPage, ipc],
    core: device.core,
    events,
    memorySize: 0x20000,
  });

  expect([page.intact(), ram.intact(), other.intact()]).toEqual([true, true, true]);
  const rare = ACCESSES < 1_000_000 ? [] : [207];
  for (const status of [0, 1, 3, 11, 15, 27, 75, ...rare]) expect([...statuses]).toContain(status);
  expect(activations).toBeGreaterThan(ACCESSES / 1000);
  expect(signals).toBeGreaterThan(ACCESSES / 10_000);
  expect([...results].sort()).toEqual(["-L4_EBUSY", "-L4_EINVAL", "-L4_EIO", "-L4_ENOMEM", "-L4_ERANGE", "L4_EOK"]);
  expect(device.core.memory.regions.length).toBeLessThanOrEqual(4);
  expect(scheduler.tasks.length).toBeLessThan(1000);
  expect(device.setStatus(0)).toBe(L4_EOK);
  expect(driver.status).toBe(0);
}, 120_000);
