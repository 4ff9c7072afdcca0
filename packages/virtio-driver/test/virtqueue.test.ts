import { feature } from "@virtio-ts/virtio-bindings";
import { BufferElements, BufferError, ChainBurst, QUEUE_EMPTY, QUEUE_MALFORMED } from "@virtio-ts/virtio-queue";
import { describe, expect, it } from "vitest";
import { DriverDevice, type QueueOptions, RequestQueue, type Virtqueue } from "../src/index.ts";
import { MockTransport } from "./support/mock-transport.ts";
import { QueueDevice } from "./support/queue-device.ts";

const VERSION_1 = feature(32);

interface Started {
  readonly transport: MockTransport;
  readonly device: DriverDevice;
  readonly queue: Virtqueue<string>;
  readonly other: QueueDevice;
}

async function start(offered = VERSION_1, options: QueueOptions = {}): Promise<Started> {
  const transport = new MockTransport({ offered, legacy: (offered & VERSION_1) === 0n });
  const device = await DriverDevice.open(transport, transport.host);
  await device.negotiate();
  await device.bindInterrupts(1);
  const queue = await device.createQueue<string>(0, options);
  await device.start();
  transport.log.length = 0;
  return { transport, device, queue, other: new QueueDevice(transport) };
}

const writable = (bytes: number): BufferElements => new BufferElements().writable(0x8000, bytes);

describe.each([
  ["split", VERSION_1],
  ["split, event idx", VERSION_1 | feature(29)],
  ["split, in order", VERSION_1 | feature(35)],
  ["packed", VERSION_1 | feature(34)],
  ["packed, event idx", VERSION_1 | feature(29, 34)],
  ["legacy", 0n],
])("a queue (%s)", (_, offered) => {
  it("gives requests back with their tokens and lengths", async () => {
    const { queue, other } = await start(offered);
    await queue.enqueue(new BufferElements().readable(0x8000, 16).writable(0x9000, 32), "a");
    await queue.enqueue(writable(8), "b");
    expect(queue.dequeue()).toBe(QUEUE_EMPTY);
    expect(other.use(1, 20)).toBe(1);
    expect(other.use(1, 8)).toBe(1);
    expect(queue.dequeue()).toEqual({ token: "a", length: 20 });
    expect(queue.dequeue()).toEqual({ token: "b", length: 8 });
    expect(queue.dequeue()).toBe(QUEUE_EMPTY);
  });

  it("lets requests wait for descriptors, and serves them in their order", async () => {
    const { queue, other } = await start(offered);
    const done: string[] = [];
    for (let i = 0; i < 8; i++) await queue.enqueue(writable(8), `${i}`);
    const large = new BufferElements().readable(0x8000, 4).readable(0x8100, 4).writable(0x8200, 4);
    const first = queue.enqueue(large, "large").then(() => done.push("large"));
    const second = queue.enqueue(writable(8), "small").then(() => done.push("small"));
    expect(queue.tryEnqueue(writable(8), "now")).toBe(false);
    expect(other.use(2)).toBe(2);
    queue.dequeue();
    queue.dequeue();
    await Promise.resolve();
    expect(done).toEqual([]);
    expect(queue.tryEnqueue(writable(8), "now")).toBe(false); // there is room for it, but not its turn
    expect(other.use(2)).toBe(2);
    queue.dequeue();
    queue.dequeue();
    await Promise.all([first, second]);
    expect(done).toEqual(["large", "small"]);
    expect(queue.tryEnqueue(writable(8), "now")).toBe(false);
  });

  it("notifies unless the device asked for silence", async () => {
    const { transport, queue, other } = await start(offered);
    queue.notify();
    expect(transport.log).toEqual([]);
    await queue.enqueue(writable(8), "a");
    queue.notify();
    queue.notify();
    expect(transport.log).toEqual(["notify 0"]);
    expect(other.use(1)).toBe(1);
    other.queue.disableNotifications();
    await queue.enqueue(writable(8), "b");
    queue.notify();
    expect(transport.log).toEqual(["notify 0"]);
  });

  it("tells what was used while interrupts were off", async () => {
    const { queue, other } = await start(offered);
    queue.disableInterrupts();
    await queue.enqueue(writable(8), "a");
    other.use(1, 8);
    expect(queue.enableInterrupts()).toBe(true);
    expect(queue.dequeue()).toEqual({ token: "a", length: 8 });
    expect(queue.enableInterrupts()).toBe(false);
  });

  it("answers each request by a promise", async () => {
    const { transport, device } = await start(offered);
    const requests = await RequestQueue.create(device, 1, { size: 8 });
    const other = new QueueDevice(transport, 1);
    const answers = Promise.all([requests.submit(writable(8)), requests.submit(writable(8))]);
    await Promise.resolve();
    other.use(2, 5);
    transport.interrupts?.used(1);
    expect(await answers).toEqual([5, 5]);
    const late = requests.submit(writable(8)); // its interrupt is lost
    await Promise.resolve();
    other.use(1, 6);
    expect(await late).toBe(6);
  });
});

describe("a queue", () => {
  it("takes requests larger than its ring through an indirect table only up to the ring's size", async () => {
    const { queue, other } = await start(VERSION_1 | feature(28), { size: 4, indirectEntries: 4 });
    const elements = new BufferElements();
    for (let i = 0; i < 4; i++) elements.writable(0x8000 + 64 * i, 16);
    for (const token of ["a", "b", "c", "d"]) expect(queue.tryEnqueue(elements, token)).toBe(true);
    expect(queue.tryEnqueue(elements, "e")).toBe(false);
    expect(other.use(4, 64)).toBe(4);
    expect(queue.dequeue()).toEqual({ token: "a", length: 64 });
  });

  it("makes a request wait for its turn, though there is room for it", async () => {
    const { queue, other } = await start();
    for (let i = 0; i < 8; i++) await queue.enqueue(writable(8), `${i}`);
    const done: string[] = [];
    const large = new BufferElements().readable(0x8000, 4).writable(0x8200, 4);
    const first = queue.enqueue(large, "large").then(() => done.push("large"));
    other.use(1);
    queue.dequeue();
    const second = queue.enqueue(writable(8), "small").then(() => done.push("small"));
    await new Promise(setImmediate);
    expect(done).toEqual([]);
    other.use(2);
    queue.dequeue();
    queue.dequeue();
    await Promise.all([first, second]);
    expect(done).toEqual(["large", "small"]);
    expect(other.use(8)).toBe(7);
    const rest = Array.from({ length: 8 }, () => queue.dequeue());
    const tokens = rest.map((used) => (typeof used === "object" ? used.token : used));
    expect(tokens).toEqual(["3", "4", "5", "6", "7", "large", "small", QUEUE_EMPTY]);
    expect(queue.tryEnqueue(writable(8), "now")).toBe(true);
  });

  it("refuses in its turn what could never be right, and goes on with what waits behind it", async () => {
    const { queue, other } = await start(VERSION_1, { size: 1 });
    await queue.enqueue(writable(8), "a");
    const first = queue.enqueue(writable(8), "b");
    const empty = expect(queue.enqueue(new BufferElements(), "none")).rejects.toMatchObject({ code: "invalid" });
    const large = new BufferElements().readable(0x8000, 4).writable(0x8200, 4);
    const tooLarge = expect(queue.enqueue(large, "large")).rejects.toMatchObject({ code: "too-many" });
    const last = queue.enqueue(writable(8), "c");
    const used: unknown[] = [];
    for (let i = 0; i < 3; i++) {
      other.use(1);
      used.push(queue.dequeue());
    }
    await Promise.all([first, empty, tooLarge, last]);
    expect(used).toMatchObject([{ token: "a" }, { token: "b" }, { token: "c" }]);
  });

  it("passes on what is wrong with the program, not with the request", async () => {
    const { queue } = await start();
    expect(() => queue.tryEnqueue(null as unknown as BufferElements, "a")).toThrow(TypeError);
  });

  it.each(["split", "packed"])("asks for an interrupt after each answer with EVENT_IDX (%s)", async (ring) => {
    const { transport, device } = await start(VERSION_1 | feature(29) | (ring === "packed" ? feature(34) : 0n));
    const requests = await RequestQueue.create(device, 1);
    const other = transport.deviceQueue(1);
    const burst = new ChainBurst(transport.memory);
    for (let i = 0; i < 3; i++) {
      const answer = requests.submit(writable(8));
      await Promise.resolve();
      other.pop(burst, 1);
      other.push(burst.heads[0], i);
      expect(other.flush()).toBe(true);
      transport.interrupts?.used(1);
      expect(await answer).toBe(i);
    }
  });

  it("refuses a request without an element, and one with more than it has entries", async () => {
    const { queue, device } = await start();
    await expect(queue.enqueue(new BufferElements(), "a")).rejects.toMatchObject({ code: "invalid", errno: "EINVAL" });
    const elements = new BufferElements();
    for (let i = 0; i < 9; i++) elements.readable(0x8000, 4);
    await expect(queue.enqueue(elements, "b")).rejects.toMatchObject({ code: "too-many", errno: "ENOSPC" });
    expect(device.failure).toBeNull();
  });

  it("has libvirtio's errno for a request that can't be built, before it is enqueued", () => {
    const errnoOf = (build: () => unknown) => {
      try {
        return build();
      } catch (cause) {
        return cause instanceof BufferError ? [cause.code, cause.errno] : cause;
      }
    };
    expect(errnoOf(() => new BufferElements().readable(-1, 4))).toEqual(["element", "EINVAL"]);
    expect(errnoOf(() => new BufferElements().writable(0, 4).readable(0, 4))).toEqual(["order", "EINVAL"]);
    const large = new BufferElements().readable(0, 0xffff_ffff).writable(0, 1);
    expect(errnoOf(() => large.writable(0, 1))).toEqual(["too-large", "ENOSPC"]);
  });

  it("has the same errno for a ring's refusal, whether the ring or the queue says so", async () => {
    const { queue } = await start();
    const long = new BufferElements();
    for (let i = 0; i < 9; i++) long.readable(0x8000, 4);
    for (const [elements, errno] of [[new BufferElements(), "EINVAL"] as const, [long, "ENOSPC"] as const]) {
      expect(() => queue.queue.add(elements)).toThrow(expect.objectContaining({ name: "BufferError", errno }));
      expect(() => queue.tryEnqueue(elements, "a")).toThrow(expect.objectContaining({ name: "DriverError", errno }));
    }
  });

  it("passes the position where the device wants it in notifications", async () => {
    const { transport, queue } = await start(VERSION_1 | feature(38));
    await queue.enqueue(writable(8), "a");
    await queue.enqueue(writable(8), "b");
    queue.notify();
    expect(transport.log).toEqual(["notify 0 at 2"]);
  });

  it("cuts what a device without VERSION_1 claims to have written to what there was room for [basic.legacy.both.legacy-interface-a-note-on-feature-bits.1]", async () => {
    const { queue, other, device } = await start(0n);
    await queue.enqueue(writable(8), "a");
    other.use(1, 4000);
    expect(queue.dequeue()).toEqual({ token: "a", length: 8 });
    expect(device.failure).toBeNull();
  });

  it("has its areas at physical addresses of memory, as the allocator gave them [basic.driver.reserved-feature-bits.4]", async () => {
    const { transport } = await start();
    const areas = transport.areas.get(0);
    expect(areas).toEqual({ size: 8, descriptorArea: 0x1000, driverArea: 0x1080, deviceArea: 0x1098 });
    expect(transport.memory.contains(0x1000, 0x1098 + 70 - 0x1000)).toBe(true);
  });

  it("wakes who waits when the device is closed", async () => {
    const { device, queue } = await start(VERSION_1, { size: 1 });
    await queue.enqueue(writable(8), "a");
    const waiting = queue.enqueue(writable(8), "b");
    await device.close();
    await expect(waiting).rejects.toMatchObject({ code: "invalid" });
    await expect(queue.enqueue(writable(8), "c")).rejects.toMatchObject({ code: "invalid" });
    expect(queue.reclaim()).toEqual(["a"]);
  });
});

describe("the size of a queue", () => {
  async function sizes(max: number, packed: boolean, options: QueueOptions = {}): Promise<number> {
    const transport = new MockTransport({ offered: VERSION_1 | (packed ? feature(34) : 0n), maxSizes: [max] });
    const device = await DriverDevice.open(transport, transport.host);
    await device.negotiate();
    return (await device.createQueue(0, options)).size;
  }

  it("is the device's maximum, or less where asked for", async () => {
    expect(await sizes(256, false)).toBe(256);
    expect(await sizes(256, false, { size: 64 })).toBe(64);
    expect(await sizes(256, false, { size: 1024 })).toBe(256);
  });

  it("is a power of two in a split ring, any in a packed one, whatever the device says", async () => {
    expect(await sizes(100, false)).toBe(64);
    expect(await sizes(100, true)).toBe(100);
    expect(await sizes(0xffff, true, { size: 100 })).toBe(100);
  });

  it("is never above 32768", async () => {
    expect(await sizes(0xffff, true)).toBe(32768);
    expect(await sizes(0xffff, false)).toBe(32768);
  });

  it.each([0, 3, 1.5, -1, 65536, Number.NaN])("is not %s", async (size) => {
    await expect(sizes(256, false, { size })).rejects.toMatchObject({ code: "invalid" });
  });

  it.each([0, 1.5, -1, 65536, Number.NaN])("is not %s of a packed ring", async (size) => {
    await expect(sizes(256, true, { size })).rejects.toMatchObject({ code: "invalid" });
  });

  it("is nothing where there is no queue, or one in use", async () => {
    const transport = new MockTransport({ maxSizes: [8, 0] });
    const device = await DriverDevice.open(transport, transport.host);
    await device.negotiate();
    for (const index of [1, 2, 0xffff]) {
      await expect(device.createQueue(index)).rejects.toMatchObject({ code: "queue-unavailable", errno: "ENOENT" });
    }
    await expect(device.createQueue(0x1_0000)).rejects.toMatchObject({ code: "invalid", errno: "EINVAL" });
    await device.createQueue(0);
    await expect(device.createQueue(0)).rejects.toMatchObject({ code: "queue-unavailable" });
    expect(device.failure).toBeNull();
  });

  it("is the device's own on a legacy interface, or the device is given up", async () => {
    for (const [max, size] of [
      [16, 16],
      [100, null],
    ] as const) {
      const transport = new MockTransport({ legacy: true, maxSizes: [max] });
      const device = await DriverDevice.open(transport, transport.host);
      await device.negotiate();
      const created = device.createQueue(0, { size: 4 });
      if (size === null) await expect(created).rejects.toMatchObject({ code: "refused" });
      else expect((await created).size).toBe(size);
      expect(device.failure === null).toBe(size !== null);
    }
  });
});

describe("a queue of a hostile device", () => {
  it("stops at an id that is not the device's: the device is given up, its memory comes back", async () => {
    const { transport, device, queue } = await start();
    const failures: string[] = [];
    device.onFailure = (cause) => void failures.push(cause.code);
    await queue.enqueue(writable(8), "a");
    const waiting = queue.enqueue(new BufferElements().readable(0x8000, 8), "never").then(() => "enqueued");
    expect(await waiting).toBe("enqueued");
    const used = transport.areas.get(0)?.deviceArea ?? 0;
    transport.memory.writeU32(used + 4, 7);
    transport.memory.writeU16(used + 2, 1);
    expect(queue.dequeue()).toBe(QUEUE_MALFORMED);
    expect(failures).toEqual(["needs-reset"]);
    expect(device.failure?.cause).toMatchObject({ code: "id-not-outstanding" });
    expect(transport.status & 0x80).toBe(0x80);
    await device.close();
    expect(transport.host.dma.allocated).toBe(0);
    expect(queue.reclaim()).toEqual(["a", "never"]);
  });

  it("answers a request that is never answered by an error, if the caller says how long that is", async () => {
    const { transport, device } = await start();
    const requests = await RequestQueue.create(device, 1, { timeoutMs: 5000 });
    await expect(requests.submit(writable(8))).rejects.toMatchObject({ code: "timeout", errno: "EBUSY" });
    expect(device.failure?.code).toBe("timeout");
    expect(transport.clock.time).toBeLessThan(6000);
  });

  it.each([0, -1, Number.NaN])("has no time of %d ms", async (timeoutMs) => {
    const { device } = await start();
    await expect(RequestQueue.create(device, 1, { timeoutMs })).rejects.toMatchObject({ code: "invalid" });
  });

  it("waits for the world for as long as that takes, without looking all the time", async () => {
    const { transport, device } = await start();
    const requests = await RequestQueue.create(device, 1);
    const other = new QueueDevice(transport, 1);
    let looks = 0;
    const { sleep } = transport.clock;
    transport.clock.sleep = (ms) => {
      if (++looks === 100) other.use(1, 3);
      return sleep.call(transport.clock, ms);
    };
    const answers = [1, 2, 3].map(() => requests.submit(writable(8)));
    expect(await answers[0]).toBe(3);
    // One watch for the queue, not one for each request: 2^10 ms in 10 looks, then one a second.
    expect([device.failure, transport.clock.time > 85_000, transport.clock.time < 100_000]).toEqual([null, true, true]);
    await device.close();
    await expect(answers[1]).rejects.toMatchObject({ code: "invalid" });
    await expect(answers[2]).rejects.toMatchObject({ code: "invalid" });
  });

  it("answers what was asked before the device was closed by an error", async () => {
    const { device } = await start();
    const requests = await RequestQueue.create(device, 1);
    const answer = requests.submit(writable(8));
    await Promise.resolve();
    await device.close();
    await expect(answer).rejects.toMatchObject({ code: "invalid" });
  });
});
