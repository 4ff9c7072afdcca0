/**
 * What is known to be wrong with Phoenix-RTOS's libvirtio is not so here: one test each. Its missing enumeration of
 * MMIO devices is shown in virtio-mmio, its missing network driver in virtio-net.
 * @module
 */

import { feature } from "@virtio-ts/virtio-bindings";
import { BufferElements, QUEUE_MALFORMED } from "@virtio-ts/virtio-queue";
import { describe, expect, it, vi } from "vitest";
import { DriverDevice, RequestQueue, type Virtqueue } from "../src/index.ts";
import { MockTransport } from "./support/mock-transport.ts";
import { QueueDevice } from "./support/queue-device.ts";

const VERSION_1 = feature(32);

async function start(offered = VERSION_1): Promise<[MockTransport, DriverDevice, Virtqueue<string>]> {
  const transport = new MockTransport({ offered });
  const device = await DriverDevice.open(transport, transport.host);
  await device.negotiate();
  await device.bindInterrupts(2);
  const queue = await device.createQueue<string>(0, { indirectEntries: 4 });
  await device.start();
  return [transport, device, queue];
}

describe("Phoenix-RTOS's known defects", () => {
  it.each([
    ["used.id is trusted", 77, 0, "id-out-of-range"],
    ["used.len is trusted", 0, 9, "length-too-large"],
  ])("%s", async (_, id, length, code) => {
    const [transport, device, queue] = await start();
    await queue.enqueue(new BufferElements().writable(0x8000, 8), "a");
    const used = transport.areas.get(0)?.deviceArea ?? 0;
    transport.memory.writeU32(used + 4, id);
    transport.memory.writeU32(used + 8, length);
    transport.memory.writeU16(used + 2, 1);
    expect(queue.dequeue()).toBe(QUEUE_MALFORMED);
    expect(device.failure?.cause).toMatchObject({ code });
  });

  it("a 64-bit configuration write is swapped wrongly", async () => {
    const [transport, device] = await start();
    device.config.write64(8, 0x0102_0304_0506_0708n);
    expect([...transport.config.subarray(8, 16)]).toEqual([8, 7, 6, 5, 4, 3, 2, 1]);
    expect(device.config.read64(8)).toBe(0x0102_0304_0506_0708n);
  });

  it("there is no event index", async () => {
    const [transport, , queue] = await start(VERSION_1 | feature(29));
    const { deviceArea, size } = transport.areas.get(0)!;
    transport.memory.writeU16(deviceArea + 4 + 8 * size, 1); // `avail_event`: after the second
    await queue.enqueue(new BufferElements().writable(0x8000, 8), "a");
    queue.notify();
    expect(transport.log).not.toContain("notify 0");
    await queue.enqueue(new BufferElements().writable(0x8000, 8), "b");
    queue.notify();
    expect(transport.log).toContain("notify 0");
  });

  it("there are no indirect descriptors", async () => {
    const [transport, , queue] = await start(VERSION_1 | feature(28));
    const elements = new BufferElements().readable(0x8000, 8).readable(0x8100, 8).writable(0x8200, 8);
    for (let i = 0; i < 8; i++) expect(queue.tryEnqueue(elements, `${i}`)).toBe(true);
    expect(new QueueDevice(transport).use(8, 8)).toBe(8);
    expect(queue.dequeue()).toEqual({ token: "0", length: 8 });
  });

  it("there is no packed ring", async () => {
    const [transport, , queue] = await start(VERSION_1 | feature(34));
    await queue.enqueue(new BufferElements().writable(0x8000, 8), "a");
    expect(new QueueDevice(transport).use(1, 8)).toBe(1);
    expect(queue.dequeue()).toEqual({ token: "a", length: 8 });
  });

  it("the barrier is the compiler's alone, not one for hardware devices [basic.driver.reserved-feature-bits.7]", async () => {
    const [transport, , queue] = await start(VERSION_1 | feature(36));
    const index = transport.areas.get(0)!.driverArea / 2 + 1;
    const store = vi.spyOn(Atomics, "store");
    await queue.enqueue(new BufferElements().writable(0x8000, 8), "a");
    const [region] = transport.memory.regions;
    expect(store.mock.calls.map(([view, at, value]) => [Object.is(view, region.u16), at, value])).toEqual([
      [true, index, 1],
    ]);
    store.mockRestore();
  });

  it("drivers poll busily", async () => {
    const [transport, device] = await start();
    const requests = await RequestQueue.create(device, 1);
    transport.clock.sleep = () => new Promise(() => {});
    const answer = requests.submit(new BufferElements().writable(0x8000, 8));
    await Promise.resolve();
    new QueueDevice(transport, 1).use(1, 4);
    transport.interrupts?.used(1);
    expect(await answer).toBe(4);
  });
});
