/** The edges of a driver's life with its device: what is told once, what ends with what, and what is never left behind. */
import { feature, VIRTIO_F_INDIRECT_DESC, VIRTIO_F_RING_RESET, VIRTIO_F_SUSPEND } from "@virtio-ts/virtio-bindings";
import { BufferElements, ChainBurst } from "@virtio-ts/virtio-queue";
import { GuestMemory, MemoryRegion } from "@virtio-ts/vm-memory";
import { describe, expect, it } from "vitest";
import {
  connectFirst,
  DriverDevice,
  DriverError,
  type FoundDevice,
  findDevices,
  LineTable,
  ProcessHost,
  RequestQueue,
} from "../src/index.ts";
import { type MockOptions, MockTransport } from "./support/mock-transport.ts";
import { QueueDevice } from "./support/queue-device.ts";

const VERSION_1 = feature(32);
const FAILED = "status 143";

async function negotiated(options: MockOptions = {}) {
  const transport = new MockTransport(options);
  const device = await DriverDevice.open(transport, transport.host);
  await device.negotiate();
  return { transport, device };
}

const writable = (bytes: number): BufferElements => new BufferElements().writable(0x8000, bytes);
const code = (of: string) => expect.objectContaining({ code: of });

describe("a 64-bit field that is there by half", () => {
  it("is neither read nor written", async () => {
    const { transport, device } = await negotiated();
    transport.log.length = 0;
    expect(() => device.config.write64(12, 1n)).toThrow(code("invalid"));
    expect(() => device.config.read64(12)).toThrow(code("invalid"));
    expect(transport.log).toEqual([]);
  });
});

describe("a device", () => {
  it("that does not even reset is told FAILED", async () => {
    const transport = new MockTransport();
    transport.onReadStatus = () => 1;
    await expect(DriverDevice.open(transport, transport.host)).rejects.toEqual(code("timeout"));
    expect(transport.log.at(-1)).toBe("status 129");
  });

  it("says which features were negotiated", async () => {
    const transport = new MockTransport({ offered: VERSION_1 | feature(9) });
    const device = await DriverDevice.open(transport, transport.host);
    expect(device.features).toBe(0n);
    await device.negotiate();
    expect(device.features).toBe(VERSION_1);
  });

  it("has interrupts bound before its first queue is there, not after", async () => {
    const { transport, device } = await negotiated();
    await device.createQueue(0);
    await expect(device.bindInterrupts(1)).rejects.toEqual(code("invalid"));
    expect([transport.interrupts, device.failure]).toEqual([null, null]);
  });

  it("lives on when an interrupt comes for a queue that nobody listens to", async () => {
    const { transport, device } = await negotiated();
    await device.bindInterrupts(1);
    await device.createQueue(0);
    await device.start();
    transport.interrupts?.used(0);
    expect(device.failure).toBe(null);
  });

  it("is given up once, for its first failure, and not after its end", async () => {
    const { transport, device } = await negotiated();
    await device.start();
    const [first, second] = [new DriverError("refused", "first"), new DriverError("refused", "second")];
    const told: DriverError[] = [];
    device.onFailure = (cause) => void told.push(cause);
    device.giveUp(first);
    device.giveUp(second);
    expect([device.failure, told, transport.log.filter((line) => line === FAILED).length]).toEqual([first, [first], 1]);
    const other = await negotiated();
    await other.device.close();
    other.transport.log.length = 0;
    other.device.giveUp(second);
    expect([other.device.failure, other.transport.log]).toEqual([null, []]);
  });

  it("that was given up tells of no configuration, and is not asked for its status", async () => {
    const { transport, device } = await negotiated();
    await device.bindInterrupts(0);
    let changes = 0;
    device.onConfigChange = () => void changes++;
    device.giveUp(new DriverError("refused", "given up"));
    let reads = 0;
    transport.onReadStatus = (status) => {
      reads++;
      return status;
    };
    transport.interrupts?.configChanged();
    expect([changes, reads]).toEqual([0, 0]);
  });

  it("that does not end its reset has been let go of all the same: no interrupt, no request, nobody waits", async () => {
    const { transport, device } = await negotiated();
    await device.bindInterrupts(1);
    const queue = await device.createQueue<string>(0, { size: 1 });
    await device.start();
    await queue.enqueue(writable(8), "a");
    const waits = queue.enqueue(writable(8), "b");
    const refused = expect(waits).rejects.toEqual(code("invalid"));
    transport.onReadStatus = () => 1;
    await expect(device.close()).rejects.toEqual(code("timeout"));
    await refused;
    expect(() => queue.tryEnqueue(writable(8), "c")).toThrow(code("invalid"));
    expect([transport.interrupts, transport.log.indexOf("unbind") < transport.log.lastIndexOf("reset")]).toEqual([
      null,
      true,
    ]);
  });
});

describe("a queue", () => {
  it("is created once, whatever the device says of it, and not where the device has it in use", async () => {
    const { transport, device } = await negotiated();
    await device.createQueue(0);
    transport.queueEnabled = () => false;
    await expect(device.createQueue(0)).rejects.toEqual(code("queue-unavailable"));
    transport.queueEnabled = () => true;
    await expect(device.createQueue(1)).rejects.toEqual(code("queue-unavailable"));
    expect(device.failure).toBe(null);
  });

  it.each([-1, 1.5, 0x1_0000, Number.NaN])("has no index %s", async (index) => {
    const { device } = await negotiated();
    await expect(device.createQueue(index)).rejects.toEqual(code("invalid"));
  });

  it("may be asked for with 32768 entries, and no more", async () => {
    const { device } = await negotiated();
    expect((await device.createQueue(0, { size: 32_768 })).size).toBe(8);
    await expect(device.createQueue(1, { size: 65_536 })).rejects.toEqual(code("invalid"));
  });

  it("takes as much memory as its areas and its indirect tables", async () => {
    const { transport, device } = await negotiated({ offered: VERSION_1 | feature(VIRTIO_F_INDIRECT_DESC) });
    const { dma } = transport.host;
    const lengths: number[] = [];
    const allocate = dma.allocate.bind(dma);
    dma.allocate = (length, align, limit) => {
      lengths.push(length);
      return allocate(length, align, limit);
    };
    await device.createQueue(0, { size: 8, indirectEntries: 4 });
    await device.createQueue(1, { size: 8 });
    // 128 of descriptors, 22 and 2 of padding, 70; then 8 tables of 4 times 16, from a multiple of 16 on.
    expect(lengths).toEqual([224 + 512, 222]);
  });

  it("takes none for indirect tables where INDIRECT_DESC was not negotiated", async () => {
    const { transport, device } = await negotiated();
    const { dma } = transport.host;
    const { size } = await device.createQueue(0, { size: 8, indirectEntries: 4 });
    expect([size, dma.allocate(1, 1)]).toEqual([8, 0x1000 + 222]);
  });

  it("has its indirect tables in its memory, behind its areas", async () => {
    const { transport, device } = await negotiated({ offered: VERSION_1 | feature(VIRTIO_F_INDIRECT_DESC) });
    const { memory } = transport;
    const queue = await device.createQueue<string>(0, { size: 8, indirectEntries: 4 });
    await queue.enqueue(new BufferElements().readable(0x8000, 4).writable(0x9000, 4), "a");
    // The first descriptor: 32 bytes at 0x10e0, VIRTQ_DESC_F_INDIRECT; there, the request's own two.
    expect([memory.readU32(0x1000), memory.readU32(0x1008), memory.readU16(0x100c)]).toEqual([0x10e0, 32, 4]);
    expect([memory.readU32(0x10e0), memory.readU32(0x10f0)]).toEqual([0x8000, 0x9000]);
  });

  it("that was destroyed is not destroyed again, nor in its place the one that has its index now", async () => {
    const { device } = await negotiated({ offered: VERSION_1 | feature(VIRTIO_F_RING_RESET) });
    const first = await device.createQueue<string>(0);
    await device.destroyQueue(first);
    await expect(device.destroyQueue(first)).rejects.toEqual(code("invalid"));
    const second = await device.createQueue<string>(0);
    await expect(device.destroyQueue(first)).rejects.toEqual(code("invalid"));
    expect(second.tryEnqueue(writable(8), "a")).toBe(true);
    expect(device.failure).toBe(null);
  });

  it("that is being destroyed when the device is closed has been let go of once", async () => {
    const { transport, device } = await negotiated({ offered: VERSION_1 | feature(VIRTIO_F_RING_RESET) });
    const queue = await device.createQueue<string>(0);
    let done = (): void => {};
    transport.resetQueue = () =>
      new Promise((resolve) => {
        done = resolve;
      });
    const destroyed = device.destroyQueue(queue);
    await device.close();
    done();
    await destroyed;
    expect(transport.host.dma.allocated).toBe(0);
  });

  it("has its early notification sent once, and not at all when it was destroyed before", async () => {
    const { transport, device } = await negotiated({
      offered: VERSION_1 | feature(VIRTIO_F_RING_RESET, VIRTIO_F_SUSPEND),
    });
    const queues = [await device.createQueue<string>(0), await device.createQueue<string>(1)];
    for (const queue of queues) {
      await queue.enqueue(writable(8), "early");
      queue.notify();
    }
    await device.destroyQueue(queues[1]);
    await device.start();
    transport.onWriteStatus = (status) => ((status & 16) !== 0 ? status & ~4 : status);
    await device.suspend();
    transport.onWriteStatus = (status) => status & ~16;
    await device.resume();
    expect(transport.log.filter((line) => line.startsWith("notify"))).toEqual(["notify 0"]);
  });

  it("that is destroyed tells who waits for it, once, and takes nothing more", async () => {
    const { device } = await negotiated({ offered: VERSION_1 | feature(VIRTIO_F_RING_RESET) });
    const queue = await device.createQueue<string>(0, { size: 1 });
    await device.start();
    let ends = 0;
    queue.onEnd = () => void ends++;
    await queue.enqueue(writable(8), "a");
    const refused = expect(queue.enqueue(writable(8), "b")).rejects.toEqual(code("invalid"));
    await device.destroyQueue(queue);
    await refused;
    await device.close();
    expect([ends, queue.queue.addOne(0x8000, 8, true) < 0]).toEqual([1, true]);
  });

  it("gives back at its end what was not used, and only that", async () => {
    const { transport, device } = await negotiated();
    const queue = await device.createQueue<string>(0);
    await device.start();
    for (const token of ["a", "b"]) await queue.enqueue(writable(8), token);
    new QueueDevice(transport).use(1, 8);
    expect(queue.dequeue()).toEqual({ token: "a", length: 8 });
    await device.close();
    expect(queue.reclaim()).toEqual(["b"]);
  });

  it("notifies of buffers that were added to the ring itself", async () => {
    const { transport, device } = await negotiated();
    const { queue, notify } = await device
      .createQueue(0)
      .then((made) => ({ queue: made.queue, notify: () => made.notify() }));
    await device.start();
    transport.log.length = 0;
    queue.addOne(0x8000, 8, true);
    notify();
    expect(transport.log).toEqual(["notify 0"]);
  });

  it("whose interrupts are off asks the device for none", async () => {
    const { transport, device } = await negotiated();
    const queue = await device.createQueue<string>(0);
    await device.start();
    queue.disableInterrupts();
    await queue.enqueue(writable(8), "a");
    const other = transport.deviceQueue(0);
    const burst = new ChainBurst(transport.memory);
    other.pop(burst, 1);
    other.push(burst.heads[0], 0);
    expect(other.flush()).toBe(false);
  });
});

describe("a request", () => {
  const soon = async (): Promise<void> => {
    for (let i = 0; i < 5000; i++) await Promise.resolve();
  };

  it("that was answered is not waited for any longer", async () => {
    const { transport, device } = await negotiated();
    const requests = await RequestQueue.create(device, 0);
    await device.start();
    const answer = requests.submit(writable(8));
    await Promise.resolve();
    new QueueDevice(transport).use(1, 8);
    transport.interrupts?.used(0);
    expect(await answer).toBe(8);
    await soon();
    expect([device.failure, transport.clock.time < 5000]).toEqual([null, true]);
  });

  it("that the device was closed under is not waited for any longer", async () => {
    const { transport, device } = await negotiated();
    const requests = await RequestQueue.create(device, 0);
    await device.start();
    const answer = expect(requests.submit(writable(8))).rejects.toEqual(code("invalid"));
    await Promise.resolve();
    await device.close();
    await answer;
    await soon();
    expect(transport.clock.time).toBeLessThan(5000);
  });
});

it("devices are found by their type", () => {
  const found = [1, 4, 1].map((deviceType, i): FoundDevice => {
    const connect = (): MockTransport => new MockTransport();
    return { kind: "mock", deviceType, location: `${i}`, connect };
  });
  const finder = { devices: () => found };
  expect([...findDevices([finder, finder], 1)].map(({ location }) => location)).toEqual(["0", "2", "0", "2"]);
});

it("the first device of a type is connected, and no other", () => {
  const connected: string[] = [];
  const found = [1, 4, 4].map((deviceType, i): FoundDevice => {
    const location = `${i}`;
    const connect = (): MockTransport => {
      connected.push(location);
      return new MockTransport();
    };
    return { kind: "mock", deviceType, location, connect };
  });
  const finders = [{ devices: () => [] }, { devices: () => found }];
  expect(connectFirst(finders, 4)).toBeInstanceOf(MockTransport);
  expect(() => connectFirst(finders, 2)).toThrow(code("not-found"));
  expect(connected).toEqual(["1"]);
});

describe("a host", () => {
  it("whose memory starts high hands out its first byte, and a block of 1", () => {
    const host = new ProcessHost(new GuestMemory([new MemoryRegion(0x1_0000, new Uint8Array(0x1000))]));
    expect(host.dma.allocate(1, 1)).toBe(0x1_0000);
  });

  it("calls nobody for a line that nobody is connected to, and does not hold it to be stuck", () => {
    const lines = new LineTable();
    lines.setLevel(5, true);
    expect(lines.stuck).toBe(0);
    let calls = 0;
    lines.connect(5, () => {
      calls++;
      lines.setLevel(5, false);
    });
    expect([calls, lines.stuck]).toEqual([1, 0]);
  });

  it("does not call a handler from within itself", () => {
    const lines = new LineTable();
    let [calls, depth, deepest] = [0, 0, 0];
    lines.connect(5, () => {
      deepest = Math.max(deepest, ++depth);
      lines.setLevel(5, ++calls < 3);
      depth--;
    });
    lines.setLevel(5, true);
    expect([calls, deepest]).toEqual([3, 1]);
  });
});
