/**
 * Both halves at once, each in a thread of its own, over shared memory: nothing is lost, repeated or reordered, and no
 * wake-up is missed, with notifications suppressed at random. Ten million buffers for each format, and a million for
 * each other way to use it.
 * @module
 */

import { Worker } from "node:worker_threads";
import {
  feature,
  VIRTIO_F_EVENT_IDX,
  VIRTIO_F_IN_ORDER,
  VIRTIO_F_RING_PACKED,
  VIRTIO_F_VERSION_1,
} from "@virtio-ts/virtio-bindings";
import { expect, test } from "vitest";

const MILLION = 1_000_000;

interface Outcome {
  counters?: { chains: number; used: number; available: number; notified: number; suppressed: number };
  error?: string;
}

function run(role: "driver" | "device", data: object): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL("./half.mjs", import.meta.url), { workerData: { role, ...data }, execArgv: [] });
    worker.once("message", resolve);
    worker.once("error", reject);
  });
}

test.each([
  ["split", "in order", "event idx", MILLION],
  ["packed", "in order", "event idx", MILLION],
  ["split", "any order", "flags", MILLION],
  ["packed", "any order", "flags", MILLION],
  ["split", "any order", "event idx", 10 * MILLION],
  ["packed", "any order", "event idx", 10 * MILLION],
])(
  "%s, %s, %s: %i buffers",
  async (format, order, events, buffers) => {
    const bits = [VIRTIO_F_VERSION_1];
    if (format === "packed") bits.push(VIRTIO_F_RING_PACKED);
    if (order === "in order") bits.push(VIRTIO_F_IN_ORDER);
    if (events === "event idx") bits.push(VIRTIO_F_EVENT_IDX);
    const data = {
      shared: new SharedArrayBuffer(1 << 18),
      bells: new SharedArrayBuffer(16),
      features: feature(...bits),
      areas: { size: 256, descriptorArea: 0x1000, driverArea: 0x4000, deviceArea: 0x6000 },
      buffers,
      inOrder: order === "in order",
    };
    const [device, driver] = await Promise.all([
      run("device", { ...data, seed: 0x1234_5678 }),
      run("driver", { ...data, seed: 0x0bad_cafe }),
    ]);
    expect([device.error, driver.error]).toEqual([undefined, undefined]);
    expect(device.counters).toMatchObject({ chains: buffers, used: buffers });
    expect(driver.counters).toMatchObject({ available: buffers, used: buffers });
  },
  600_000,
);
