/**
 * Our driver on our device, in one process: the machine's ports, memory and interrupts are all that is between them.
 * @module
 */

import { VIRTIO_ID_ENTROPY } from "@virtio-ts/virtio-bindings";
import { connectFirst, DriverDevice, FreeList, ProcessHost } from "@virtio-ts/virtio-driver";
import { PciConfigPorts, PciEcam, PciFinder, type PciFinderOptions } from "@virtio-ts/virtio-pci/driver";
import { BufferElements } from "@virtio-ts/virtio-queue";
import { GuestMemory } from "@virtio-ts/vm-memory";
import { describe, expect, it } from "vitest";
import { EntropyDevice } from "../examples/entropy.ts";
import { Machine, type OnPciOptions, onPci } from "../src/index.ts";

const ECAM = 0xd000_0000;

/** A machine with an entropy source, and a host for its driver. */
function setUp(device: OnPciOptions, messages = 16): { machine: Machine; host: ProcessHost } {
  const memory = GuestMemory.of(new Uint8Array(0x10_0000));
  const host = new ProcessHost(memory, { messages });
  const machine = new Machine({ memory, controller: host.lines, msi: host.messages });
  machine.devices.add("rng0", new EntropyDevice(), onPci(machine, device));
  return { machine, host };
}

/** Reads 64 random bytes twice, with a restart between, and leaves nothing behind. */
async function drive(host: ProcessHost, options: PciFinderOptions): Promise<void> {
  const transport = connectFirst([new PciFinder(host, options)], VIRTIO_ID_ENTROPY);
  for (let life = 0; life < 2; life++) {
    const device = await DriverDevice.open(transport, host);
    await device.negotiate();
    await device.bindInterrupts(1);
    const interrupted = new Promise<void>((resolve) => void (onUsed = resolve));
    const queue = await device.createQueue<string>(0, { onUsed: () => onUsed() });
    await device.start();
    const buffer = host.dma.allocate(64, 8);
    await queue.enqueue(new BufferElements().writable(buffer, 64), "entropy");
    queue.notify();
    await interrupted;
    expect(queue.dequeue()).toEqual({ token: "entropy", length: 64 });
    const bytes = new Uint8Array(64);
    host.memory.read(buffer, bytes);
    expect(new Set(bytes).size).toBeGreaterThan(16);
    await device.close();
    host.dma.free(buffer);
  }
  expect(host.dma.allocated).toBe(0);
}

let onUsed: () => void = () => {};

describe("a driver on a device in one process", () => {
  const both = ["modern", "transitional", "legacy"] as const;
  for (const mode of both) {
    for (const interrupt of ["msix", "intx"] as const) {
      it(`reads entropy from a ${mode} device by ${interrupt}`, async () => {
        const { machine, host } = setUp({ mode, interrupt });
        await drive(host, { config: new PciConfigPorts(machine.ports), ports: machine.ports, mmio: machine });
      });
    }
  }

  it("reads entropy through the legacy interface of a transitional device", async () => {
    const { machine, host } = setUp({ mode: "transitional" });
    await drive(host, {
      config: new PciEcam(machine, ECAM),
      ports: machine.ports,
      mmio: machine,
      interface: "legacy",
    });
  });

  it("places the BARs that firmware left without a place", async () => {
    const memory = GuestMemory.of(new Uint8Array(0x10_0000));
    const host = new ProcessHost(memory);
    const machine = new Machine({ memory, controller: host.lines, msi: host.messages });
    machine.devices.add(
      "rng0",
      new EntropyDevice(),
      onPci({ ...machine, memory, pci: machine.pci, scheduler: machine.scheduler, barPools: null }),
    );
    const windows = { ports: new FreeList(0xc000, 0x1_0000), mmio: new FreeList(0xe000_0000, 0xe100_0000) };
    await drive(host, { config: new PciEcam(machine, ECAM), ports: machine.ports, mmio: machine, windows });
    expect(windows.mmio.taken).toBe(2);
  });

  it("reaches a device through configuration space alone when its BARs can't be mapped", async () => {
    const { machine, host } = setUp({ mode: "modern" });
    await drive(host, { config: new PciConfigPorts(machine.ports), ports: machine.ports, mmio: null });
  });

  it("falls back on the pin when no message is left", async () => {
    const { machine, host } = setUp({ mode: "modern" }, 0);
    await drive(host, { config: new PciConfigPorts(machine.ports), ports: machine.ports, mmio: machine });
  });
});
