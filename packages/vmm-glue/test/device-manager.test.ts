import type { RegionHandler, Resource, ResourceRequest, SharedMemoryList } from "@virtio-ts/virtio-device";
import { RecordingDevice } from "@virtio-ts/virtio-device/testing";
import { MemoryRegion } from "@virtio-ts/vm-memory";
import { describe, expect, it } from "vitest";
import { type Attach, type Attachment, type DeviceManagerError, Machine, onPci } from "../src/index.ts";
import { codeOf } from "./support/block.ts";
import { TestFunction } from "./support/pci-function.ts";

/** A device that asks for resources and puts memory before the guest. */
class GreedyDevice extends RecordingDevice {
  readonly requests: readonly ResourceRequest[];
  region = new MemoryRegion(2 ** 40, new Uint8Array(4096));

  constructor(requests: readonly ResourceRequest[]) {
    super();
    this.requests = requests;
  }

  resourceRequests(): readonly ResourceRequest[] {
    return this.requests;
  }

  setResources(resources: readonly Resource[], regions: RegionHandler): SharedMemoryList | null {
    const shared = resources.find((resource) => resource.kind === "shared-memory");
    if (shared?.kind !== "shared-memory") return null;
    this.region = new MemoryRegion(shared.address, new Uint8Array(4096));
    regions.insertRegion(this.region);
    return { guestAddress: this.region.start, length: 4096, backing: this.region, regions: [] };
  }
}

const nowhere: Attach<Attachment> = () => ({ remove: () => {} });

const everything: readonly ResourceRequest[] = [
  { kind: "ports", size: 0x20, align: 0x20 },
  { kind: "mmio", size: 0x200, align: 0x1000 },
  { kind: "shared-memory", size: 4096, align: 4096 },
  { kind: "interrupt-line" },
  { kind: "messages", count: 3 },
];

describe("the device manager", () => {
  it("finds devices by id, in the order in which they were added", () => {
    const { devices } = new Machine({ memory: 4096 });
    const device = new RecordingDevice();
    devices.add("b", device, nowhere);
    devices.add("a", new RecordingDevice(), nowhere);
    expect(devices.ids).toEqual(["b", "a"]);
    expect(devices.get("b")?.device).toBe(device);
    expect(devices.get("c")).toBeNull();
  });

  it("gives a device what it asks for, in the order of its requests", () => {
    const { devices } = new Machine({ memory: 4096 });
    const first = devices.add("a", new GreedyDevice(everything), nowhere);
    const second = devices.add("b", new GreedyDevice(everything), nowhere);
    expect(first.resources).toEqual([
      { kind: "ports", address: 0xc000, size: 0x20 },
      { kind: "mmio", address: 0xe000_0000, size: 0x200 },
      { kind: "shared-memory", address: 2 ** 40, size: 4096 },
      { kind: "interrupt-line", line: 5 },
      { kind: "messages", count: 3 },
    ]);
    expect(second.resources).toEqual([
      { kind: "ports", address: 0xc020, size: 0x20 },
      { kind: "mmio", address: 0xe000_1000, size: 0x200 },
      { kind: "shared-memory", address: 2 ** 40 + 4096, size: 4096 },
      { kind: "interrupt-line", line: 9 },
      { kind: "messages", count: 3 },
    ]);
  });

  it("gives the very place or line that is asked for; a line by number may be shared", () => {
    const { devices } = new Machine({ memory: 4096 });
    const requests: readonly ResourceRequest[] = [
      { kind: "ports", size: 8, align: 8, address: 0x3f8 },
      { kind: "interrupt-line", line: 10 },
    ];
    expect(devices.add("a", new GreedyDevice(requests), nowhere).resources).toEqual([
      { kind: "ports", address: 0x3f8, size: 8 },
      { kind: "interrupt-line", line: 10 },
    ]);
    devices.add("b", new GreedyDevice([requests[1]]), nowhere);
    expect(resourceCode(devices, [requests[0]])).toBe("ports");
  });

  it.each([
    ["ports", { kind: "ports", size: 0x1_0000, align: 1 }],
    ["ports", { kind: "ports", size: 8, align: 1, address: 0xcf8 }],
    ["mmio", { kind: "mmio", size: 2 ** 32, align: 1 }],
    ["shared-memory", { kind: "shared-memory", size: 2 ** 41, align: 4096 }],
    ["interrupt-line", { kind: "interrupt-line", line: 3 }],
    ["messages", { kind: "messages", count: 4096 }],
    ["invalid", { kind: "messages", count: 0 }],
    ["invalid", { kind: "mmio", size: 0, align: 1 }],
    ["invalid", { kind: "mmio", size: 8, align: 3 }],
    ["invalid", { kind: "ports", size: Number.NaN, align: 1 }],
  ] as const)("says which resource is not to be had: %s", (code, request) => {
    const { devices } = new Machine({ memory: 4096 });
    expect(resourceCode(devices, [...everything, request])).toBe(code);
    expect(devices.ids).toEqual([]);
    // What was granted before the failure was given back.
    expect(devices.add("a", new GreedyDevice(everything), nowhere).resources[0]).toEqual({
      kind: "ports",
      address: 0xc000,
      size: 0x20,
    });
  });

  it("says why in the cause of the cause", () => {
    const { devices } = new Machine({ memory: 4096 });
    const taken = [{ kind: "ports", size: 8, align: 1, address: 0xcf8 }] as const;
    expect(() => devices.add("a", new GreedyDevice(taken), nowhere)).toThrow(
      expect.objectContaining({
        cause: expect.objectContaining({ cause: expect.objectContaining({ code: "overlap" }) }),
      }),
    );
  });

  it.each([0, -1, -8, 0.5, 3, Number.NaN])("knows no alignment of %d", (align) => {
    const { devices } = new Machine({ memory: 4096 });
    expect(resourceCode(devices, [{ kind: "mmio", size: 8, align }])).toBe("invalid");
  });

  it("gives out messages to the last, in whole numbers from 1", () => {
    const { devices, resources } = new Machine({ memory: 4096 });
    const messages = (count: number): readonly ResourceRequest[] => [{ kind: "messages", count }];
    expect([0, -1, 1.5].map((count) => resourceCode(devices, messages(count)))).toEqual(Array(3).fill("invalid"));
    devices.add("one", new GreedyDevice(messages(1)), nowhere);
    devices.add("the rest", new GreedyDevice(messages(resources.freeMessages)), nowhere);
    expect([resources.freeMessages, resourceCode(devices, messages(1))]).toEqual([0, "messages"]);
  });

  it("has no messages where the machine has no sink for them", () => {
    const machine = new Machine({ memory: 4096, msi: null });
    expect(machine.resources.freeMessages).toBe(0);
    expect(machine.pci.plug(new TestFunction()).msi).toBeNull();
  });

  it("lets no device take away memory that is not its own", () => {
    const machine = new Machine({ memory: 4096 });
    const first = new GreedyDevice(everything);
    machine.devices.add("first", first, nowhere);
    const second = new GreedyDevice([]);
    second.setResources = (_, regions) => {
      regions.removeRegion(first.region);
      return null;
    };
    machine.devices.add("second", second, nowhere);
    machine.write(2 ** 40 + 8, 4, 0x1234_5678);
    expect(first.region.u8[8]).toBe(0x78);
  });

  it("has no lines for more devices than there are, until one goes", async () => {
    const { devices } = new Machine({ memory: 4096 });
    const line: readonly ResourceRequest[] = [{ kind: "interrupt-line" }];
    for (const id of ["a", "b", "c", "d"]) devices.add(id, new GreedyDevice(line), nowhere);
    expect(resourceCode(devices, line)).toBe("interrupt-line");
    await devices.remove("c");
    expect(devices.add("e", new GreedyDevice(line), nowhere).resources).toEqual([{ kind: "interrupt-line", line: 10 }]);
  });

  it("puts a device's own memory before the guest, and takes it away with the device", async () => {
    const machine = new Machine({ memory: 4096 });
    const device = new GreedyDevice(everything);
    machine.devices.add("pmem", device, nowhere);
    machine.write(2 ** 40 + 8, 4, 0x1234_5678);
    expect([machine.read(2 ** 40 + 9, 2), device.region.u8[8]]).toEqual([0x3456, 0x78]);
    await machine.devices.remove("pmem");
    expect(machine.read(2 ** 40 + 8, 4)).toBe(0xffff_ffff);
  });

  it("refuses a second device by the same id, and knows none that was not added", async () => {
    const { devices } = new Machine({ memory: 4096 });
    devices.add("a", new RecordingDevice(), nowhere);
    expect(codeOf(() => devices.add("a", new RecordingDevice(), nowhere))).toBe("id-taken");
    await expect(devices.remove("b")).rejects.toMatchObject({ code: "unknown-id" });
  });

  it("keeps nothing of a device that can't be put on its bus", () => {
    const machine = new Machine({ memory: 4096 });
    const failing = (): never => {
      throw new Error("no bus");
    };
    expect(codeOf(() => machine.devices.add("a", new GreedyDevice(everything), failing))).toBe("attach");
    expect(machine.devices.ids).toEqual([]);
    expect(machine.read(2 ** 40, 4)).toBe(0xffff_ffff);
    expect(machine.barPools.ports.reserved).toBe(0);
  });

  it("plugs into a running machine and out of it, again and again", async () => {
    const machine = new Machine({ memory: 2 ** 20 });
    const { devices, pci } = machine;
    devices.add("stays", new RecordingDevice(), onPci(machine));
    const addresses: unknown[] = [];
    for (let i = 0; i < 40; i++) {
      const device = new RecordingDevice();
      const { attachment } = devices.add("comes", device, onPci(machine));
      addresses.push([attachment.slot.device, ...attachment.bars.values()].join());
      await devices.remove("comes");
      expect(device.events.at(-1)).toBe("remove");
    }
    expect(new Set(addresses).size).toBe(1);
    expect(pci.slots.length).toBe(2);
    expect(devices.ids).toEqual(["stays"]);
    await devices.removeAll();
    expect([pci.slots.length, machine.barPools.mmio.reserved]).toEqual([1, 0]);
  });

  it("waits for a device whose reset takes its time, and removes it once", async () => {
    const machine = new Machine({ memory: 2 ** 20 });
    const device = new RecordingDevice();
    let settle = (): void => {};
    device.resetPromise = new Promise((resolve) => {
      settle = resolve;
    });
    machine.devices.add("slow", device, onPci(machine));
    const removals = [machine.devices.remove("slow"), machine.devices.remove("slow")];
    await Promise.resolve();
    expect(machine.devices.ids).toEqual(["slow"]);
    expect(device.events).not.toContain("remove");
    settle();
    await Promise.all(removals);
    expect(device.events.filter((event) => event === "remove")).toEqual(["remove"]);
    expect(machine.devices.ids).toEqual([]);
  });

  it("can't put a thirty-second device on the bus, and says so", () => {
    const machine = new Machine({ memory: 2 ** 20 });
    for (let i = 0; i < 31; i++) machine.devices.add(`d${i}`, new RecordingDevice(), onPci(machine));
    expect(causeCode(() => machine.devices.add("one more", new RecordingDevice(), onPci(machine)))).toBe("no-slot");
  });
});

/** The code of the cause of what `run` throws. */
function causeCode(run: () => unknown): string | undefined {
  try {
    run();
  } catch (error) {
    return ((error as DeviceManagerError).cause as { code?: string }).code;
  }
  throw new Error("nothing was thrown");
}

/** The code of the resource error that these requests end in. */
function resourceCode(devices: Machine["devices"], requests: readonly ResourceRequest[]): string | undefined {
  return causeCode(() => devices.add("greedy", new GreedyDevice(requests), nowhere));
}
