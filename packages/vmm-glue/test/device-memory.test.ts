/**
 * Memory that a device brings along (pmem, DAX) is memory: what the guest gives other devices may lie in it.
 * @module
 */

import { feature, VIRTIO_F_RING_PACKED } from "@virtio-ts/virtio-bindings";
import { DEFAULT_RING_FEATURES, type RegionHandler, type Resource } from "@virtio-ts/virtio-device";
import { RecordingDevice } from "@virtio-ts/virtio-device/testing";
import { ChainBurst, createDeviceQueue, QUEUE_MALFORMED } from "@virtio-ts/virtio-queue";
import { MockPackedDriver, MockSplitDriver } from "@virtio-ts/virtio-queue/testing";
import { GuestMemory, MemoryRegion } from "@virtio-ts/vm-memory";
import { describe, expect, it } from "vitest";
import { type Attach, type Attachment, Machine } from "../src/index.ts";
import { frame, Nic } from "./support/nic.ts";

const SIZE = 0x10_0000;

/** Persistent memory: nothing but a region of its own. */
class Pmem extends RecordingDevice {
  region: MemoryRegion | null = null;

  resourceRequests() {
    return [{ kind: "shared-memory", size: SIZE, align: SIZE }] as const;
  }

  setResources(resources: readonly Resource[], regions: RegionHandler): null {
    const [granted] = resources;
    if (granted?.kind !== "shared-memory") throw new Error("no room for the memory");
    this.region = new MemoryRegion(granted.address, new Uint8Array(granted.size));
    regions.insertRegion(this.region);
    return null;
  }
}

const nowhere: Attach<Attachment> = () => ({ remove: () => {} });

describe("memory that a device brought along", () => {
  it("holds frames that a NIC sends and receives, also one that was live before", async () => {
    const machine = new Machine({ memory: 0x80_0000 });
    const nic = new Nic(machine, "nic", "modern");
    nic.up().expectWorks();
    const pmem = new Pmem();
    machine.devices.add("pmem", pmem, nowhere);
    const at = pmem.region!.start;
    const bytes = frame(7);
    machine.memory.write(at + 12, bytes);
    nic.tx.chain({ address: at, length: 12 + bytes.length });
    nic.registers.kick(1);
    expect(nic.wire.frames.at(-1)).toEqual(bytes);
    expect(nic.device.counters.dropped).toEqual(expect.not.objectContaining({ txMalformed: 1 }));
    await machine.devices.remove("pmem");
    nic.tx.chain({ address: at, length: 12 + bytes.length });
    nic.registers.kick(1);
    expect(nic.registers.status() & 0x40).toBe(0x40);
  });

  it("is one piece of memory: what overlaps RAM, or another device's, is refused and nothing of it stays", () => {
    const machine = new Machine({ memory: 0x10000 });
    class Greedy extends Pmem {
      override setResources(_: readonly Resource[], regions: RegionHandler): null {
        regions.insertRegion(new MemoryRegion(0x20000, new Uint8Array(8)));
        regions.insertRegion(new MemoryRegion(0xfff8, new Uint8Array(16)));
        return null;
      }
    }
    expect(() => machine.devices.add("greedy", new Greedy(), nowhere)).toThrow(
      expect.objectContaining({ code: "attach", cause: expect.objectContaining({ code: "regions-overlap" }) }),
    );
    expect([machine.memory.contains(0x20000, 8), machine.devices.ids]).toEqual([false, []]);
  });
});

describe.each([
  ["split", DEFAULT_RING_FEATURES, MockSplitDriver],
  ["packed", DEFAULT_RING_FEATURES | feature(VIRTIO_F_RING_PACKED), MockPackedDriver],
] as const)("a %s queue", (_, features, Driver) => {
  const FIRST = 0x10_0000;

  const setUp = () => {
    const memory = GuestMemory.of(new Uint8Array(0x10000));
    const driver = new Driver(memory, { size: 16, features: BigInt(features) } as never);
    const queue = createDeviceQueue(memory, features, driver.areas);
    const burst = new ChainBurst(memory);
    const text = new Uint8Array(4);
    const read = (address: number): number[] | number => {
      driver.offer([{ address, length: 4 }]);
      const count = queue.pop(burst, 1);
      if (count !== 1) return count;
      burst.copyOut(0, 0, text, 0, 4);
      queue.pushAll(burst);
      queue.flush();
      driver.collect();
      return [...text];
    };
    const region = (address: number, fill: number) => new MemoryRegion(address, new Uint8Array(0x100).fill(fill));
    return { memory, queue, read, region };
  };

  it("finds buffers in each region that came, in whichever order, and in RAM again", () => {
    const { memory, read, region } = setUp();
    memory.write(0x8000, Uint8Array.of(1, 1, 1, 1));
    expect(read(0x8000)).toEqual([1, 1, 1, 1]);
    for (let i = 12; i > 0; i--) {
      memory.insert(region(FIRST * i, i + 1));
      expect([read(FIRST * i + 8), read(0x8000)]).toEqual([Array(4).fill(i + 1), [1, 1, 1, 1]]);
    }
    expect(read(FIRST * 12 + 0xfc)).toEqual([13, 13, 13, 13]);
  });

  it("finds nothing in one that went, and what came in its place", () => {
    const { memory, queue, read, region } = setUp();
    const [first, second] = [region(FIRST, 2), region(2 * FIRST, 3)];
    memory.insert(first);
    memory.insert(second);
    expect([read(FIRST), read(2 * FIRST)]).toEqual([Array(4).fill(2), Array(4).fill(3)]);
    memory.remove(first);
    expect(read(2 * FIRST)).toEqual(Array(4).fill(3));
    memory.insert(region(FIRST, 9));
    expect(read(FIRST)).toEqual(Array(4).fill(9));
    memory.remove(second);
    expect(read(2 * FIRST)).toBe(QUEUE_MALFORMED);
    expect(queue.fault?.code).toBe("buffer-out-of-range");
  });
});
