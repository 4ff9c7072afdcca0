/**
 * The transport takes what its device asked for and was given, as Dragonball's does: registers are in the ranges, the
 * interrupt is the line or the messages. Nothing is kept that nobody uses.
 * @module
 */

import type { ResourceRequest } from "@virtio-ts/virtio-device";
import { RecordingDevice } from "@virtio-ts/virtio-device/testing";
import { describe, expect, it } from "vitest";
import { type DeviceManagerError, Machine, onMmio, onPci } from "../src/index.ts";
import { Config } from "./support/registers.ts";

class Asking extends RecordingDevice {
  readonly requests: readonly ResourceRequest[];

  constructor(...requests: readonly ResourceRequest[]) {
    super();
    this.requests = requests;
  }

  resourceRequests(): readonly ResourceRequest[] {
    return this.requests;
  }
}

const machine = (): Machine => new Machine({ memory: 2 ** 20 });

/** Why the device is not added: code and message of the cause. */
function refusal(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    const { code, message } = (error as DeviceManagerError).cause as Error & { code: string };
    return `${code}: ${message}`;
  }
  throw new Error("nothing was thrown");
}

/** What is still taken. */
function taken({ barPools, mmioPool, resources, pci }: Machine): number[] {
  return [
    barPools.ports.reserved,
    mmioPool.reserved,
    4 - resources.freeLines.length,
    2048 - resources.freeMessages,
    pci.slots.length,
  ];
}

describe("a PCI device", () => {
  it("has its registers at the ports and the memory it asked for, and gives them back", async () => {
    const m = machine();
    const device = new Asking(
      { kind: "ports", size: 0x40, align: 0x40, address: 0x6000 },
      { kind: "mmio", size: 0x10000, align: 0x10000, address: 0xe100_0000 },
      { kind: "interrupt-line", line: 5 },
      { kind: "messages", count: 3 },
    );
    const { attachment, resources } = m.devices.add("a", device, onPci(m, { mode: "transitional" }));
    expect(resources.map(({ kind }) => kind)).toEqual(["ports", "mmio", "interrupt-line", "messages"]);
    const config = new Config(m, attachment.slot.device);
    expect([config.read(0x10, 4), config.read(0x3c, 1)]).toEqual([0x6001, 5]);
    // The structures are the largest of the memory BARs; MSI-X's table is where there is room.
    expect(config.read(0x18, 4) & ~15).toBe(0xe100_0000 | 0);
    expect([...attachment.bars.values()].includes(0xe000_0000)).toBe(true);
    m.ports.write(0x6000 + 18, 1, 1);
    expect(attachment.transport.core.status).toBe(1);
    const msix = config.capabilities(0x11)[0];
    expect(config.read(msix + 2, 2) & 0x7ff).toBe(2); // one less than there are
    await m.devices.remove("a");
    expect(taken(m)).toEqual([0, 0, 0, 0, 1]);
    expect(m.ports.read(0x6000 + 18, 1)).toBe(0xff);
  });

  it("has each of its registers in a range of just their size, the largest in the first", () => {
    const m = machine();
    const sizes = [...m.devices.add("a", new Asking(), onPci(m)).attachment.bars.keys()].map(({ size }) => size);
    const size = Math.max(...sizes);
    const ranges = [
      { kind: "mmio", size, align: size, address: 0xe200_0000 },
      { kind: "mmio", size, align: size, address: 0xe100_0000 },
    ] as const;
    const { bars } = m.devices.add("b", new Asking(...ranges), onPci(m)).attachment;
    expect([...bars].toSorted(([a], [b]) => b.size - a.size).map(([, address]) => address)).toEqual([
      0xe200_0000, 0xe100_0000,
    ]);
    expect(sizes.length).toBe(2);
  });

  it("shares the line that it and another asked for", () => {
    const m = machine();
    for (const id of ["a", "b"]) {
      const { attachment } = m.devices.add(id, new Asking({ kind: "interrupt-line", line: 10 }), onPci(m));
      expect(new Config(m, attachment.slot.device).read(0x3c, 1)).toBe(10);
    }
  });

  it("is refused what its transport has no use for, and nothing stays taken", () => {
    const m = machine();
    const add = (request: ResourceRequest, options: Parameters<typeof onPci>[1] = {}): string =>
      refusal(() => m.devices.add("a", new Asking(request), onPci(m, options)));
    expect(add({ kind: "ports", size: 0x40, align: 0x40 })).toBe(
      "ports: 64 ports at 0xc000 hold no base address register",
    );
    // Large enough for the registers, which are in memory and can't be at ports.
    expect(add({ kind: "ports", size: 0x2000, align: 0x2000 })).toMatch(/^ports: 8192 ports at 0xc000 hold no base/);
    expect(add({ kind: "mmio", size: 0x10, align: 0x10 })).toMatch(/^mmio: 16 mmio at 0xe0000000 hold no base/);
    expect(add({ kind: "mmio", size: 0x10000, align: 0x10000, address: 0xe000_1001 })).toMatch(/^mmio:/);
    expect(add({ kind: "messages", count: 3 }, { interrupt: "intx" })).toBe(
      "messages: the PCI bus has no use for messages that the device asked for",
    );
    expect(add({ kind: "messages", count: 3 }, { vectors: 2 })).toMatch(/^messages: /);
    expect(add({ kind: "interrupt-line" }, { plug: { line: null } })).toMatch(/^interrupt-line: /);
    expect(taken(m)).toEqual([0, 0, 0, 0, 1]);
  });

  it("is refused it too behind memory of its own, which is for no transport to use", () => {
    const m = machine();
    const memory = { kind: "shared-memory", size: 4096, align: 4096 } as const;
    const device = new Asking(memory, { kind: "ports", size: 0x40, align: 0x40 });
    expect(refusal(() => m.devices.add("a", device, onPci(m)))).toMatch(/^ports: 64 ports/);
    expect(refusal(() => m.devices.add("a", device, onMmio(m)))).toMatch(/^ports: memory-mapped I\/O has no use/);
    m.devices.add("b", new Asking(memory), onMmio(m));
  });

  it("is on the line that its machine names, though it asked for none", () => {
    const m = machine();
    const { attachment } = m.devices.add("a", new Asking(), onPci(m, { plug: { line: 9 } }));
    expect(new Config(m, attachment.slot.device).read(0x3c, 1)).toBe(9);
  });

  it("has no place for ranges where the guest's firmware places registers", () => {
    const m = machine();
    const bus = { memory: m.memory, scheduler: m.scheduler, pci: m.pci, barPools: null };
    const mmio = new Asking({ kind: "mmio", size: 0x10000, align: 0x10000 });
    expect(refusal(() => m.devices.add("a", mmio, onPci(bus)))).toBe(
      "mmio: a PCI bus whose firmware places registers has no use for mmio that the device asked for",
    );
    m.devices.add("b", new Asking({ kind: "interrupt-line", line: 9 }), onPci(bus));
  });
});

describe("a device in memory-mapped I/O", () => {
  it("has its registers where it asked for them, on the line it asked for, and gives both back", async () => {
    const m = machine();
    const device = new Asking(
      { kind: "mmio", size: 0x2000, align: 0x1000, address: 0xe200_0000 },
      { kind: "interrupt-line", line: 11 },
    );
    const { attachment } = m.devices.add("a", device, onMmio(m));
    expect([attachment.address, attachment.line]).toEqual([0xe200_0000, 11]);
    expect([m.read(0xe200_0000, 4), m.mmioPool.reserved]).toEqual([0x7472_6976, 1]);
    await m.devices.remove("a");
    expect([m.read(0xe200_0000, 4), taken(m)]).toEqual([0xffff_ffff, [0, 0, 0, 0, 1]]);
  });

  it("has the messages it asked for as the vectors of Dragonball's registers, and gives them back", async () => {
    const m = machine();
    const device = new Asking({ kind: "messages", count: 3 });
    const { attachment } = m.devices.add("a", device, onMmio(m, { dragonball: { msi: m.messageLog } }));
    expect([attachment.transport.vectors, 2048 - m.resources.freeMessages]).toEqual([3, 3]);
    const { address } = attachment;
    for (const status of [1, 3]) m.write(address + 0x70, 4, status);
    m.write(address + 0xc0, 2, 0x8000); // enables messages
    for (const vector of [0, 1, 2]) {
      m.write(address + 0xc4, 4, 0xfee0_0000);
      m.write(address + 0xcc, 4, 40 + vector);
      m.write(address + 0xc2, 2, 0x1000 | vector); // the vector takes them
    }
    m.write(address + 0x24, 4, 1);
    m.write(address + 0x20, 4, 1); // VERSION_1
    m.write(address + 0x70, 4, 11);
    for (const queue of [0, 1]) {
      m.write(address + 0x30, 4, queue);
      m.write(address + 0x38, 4, 4);
      for (const [register, at] of [
        [0x80, 0x1000],
        [0x90, 0x2000],
        [0xa0, 0x3000],
      ]) {
        m.write(address + register, 4, at + 0x4000 * queue);
      }
      m.write(address + 0x44, 4, 1);
    }
    m.write(address + 0x70, 4, 15);
    const sent: number[] = [];
    m.messageLog.onMessage = (_, data) => sent.push(data);
    device.context?.configChanged();
    for (const queue of [0, 1]) device.context?.queues[queue]?.notifier.notify();
    expect(sent).toEqual([40, 41, 42]);
    await m.devices.remove("a");
    expect(taken(m)).toEqual([0, 0, 0, 0, 1]);
  });

  // Vector 0 is for the configuration and i + 1 for queue i: with fewer a queue has none, and no event comes by more.
  it.each([1, 2, 4, 9])("is refused %i messages where its two queues and its configuration take three", (count) => {
    const m = machine();
    const options = { dragonball: { msi: m.messageLog } };
    expect(refusal(() => m.devices.add("a", new Asking({ kind: "messages", count }), onMmio(m, options)))).toBe(
      `messages: the device asked for ${count} messages, and memory-mapped I/O has 3 vectors for it`,
    );
    expect(taken(m)).toEqual([0, 0, 0, 0, 1]);
  });

  it.each<[string, ResourceRequest, RegExp]>([
    ["ports", { kind: "ports", size: 8, align: 8 }, /^ports: memory-mapped I\/O has no use for ports/],
    ["messages", { kind: "messages", count: 2 }, /^messages: .* 2 messages, and memory-mapped I\/O has 0 vectors/],
    [
      "less than a page",
      { kind: "mmio", size: 0x200, align: 0x200 },
      /^mmio: the device asked for 512 bytes of registers/,
    ],
  ])("is refused %s, and nothing stays taken", (_, request, reason) => {
    const m = machine();
    expect(refusal(() => m.devices.add("a", new Asking(request), onMmio(m)))).toMatch(reason);
    expect(taken(m)).toEqual([0, 0, 0, 0, 1]);
  });

  it("is not given two places: one that its machine names, and one that it asked for", () => {
    const m = machine();
    const device = new Asking({ kind: "mmio", size: 0x1000, align: 0x1000 });
    expect(refusal(() => m.devices.add("a", device, onMmio(m, { address: 0xe300_0000 })))).toMatch(/^mmio: /);
    expect(taken(m)).toEqual([0, 0, 0, 0, 1]);
  });
});
