/**
 * Our driver on our device, in one process: the machine's ports, memory and interrupts are all that is between them.
 * @module
 */

import { feature, VIRTIO_ID_ENTROPY } from "@virtio-ts/virtio-bindings";
import { RecordingDevice } from "@virtio-ts/virtio-device/testing";
import {
  connectFirst,
  type DeviceFinder,
  DriverDevice,
  type FeatureRequest,
  FreeList,
  findDevices,
  ProcessHost,
} from "@virtio-ts/virtio-driver";
import { MmioFinder } from "@virtio-ts/virtio-mmio/driver";
import { PciConfigPorts, PciEcam, PciFinder } from "@virtio-ts/virtio-pci/driver";
import { BufferElements } from "@virtio-ts/virtio-queue";
import { GuestMemory } from "@virtio-ts/vm-memory";
import { describe, expect, it } from "vitest";
import { EntropyDevice } from "../examples/entropy.ts";
import { Machine, onMmio, onPci } from "../src/index.ts";

const ECAM = 0xd000_0000;

/** A machine, and a host for drivers in it. */
function setUp(messages = 16): { machine: Machine; host: ProcessHost } {
  const memory = GuestMemory.of(new Uint8Array(0x10_0000));
  const host = new ProcessHost(memory, { messages });
  return { machine: new Machine({ memory, controller: host.lines, msi: host.messages }), host };
}

/** Reads 64 random bytes twice, with a restart between, and leaves nothing behind. */
async function drive(host: ProcessHost, finder: DeviceFinder, features: FeatureRequest = {}): Promise<void> {
  const transport = connectFirst([finder], VIRTIO_ID_ENTROPY);
  for (let life = 0; life < 2; life++) {
    const device = await DriverDevice.open(transport, host);
    await device.negotiate(features);
    await device.bindInterrupts(1);
    const queue = await device.createQueue<string>(0, { indirectEntries: 4 });
    const interrupted = new Promise<void>((resolve) => {
      queue.onUsed = resolve;
    });
    await device.start();
    const buffer = host.dma.allocate(64, 8);
    await queue.enqueue(new BufferElements().writable(buffer, 48).writable(buffer + 48, 16), "entropy");
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

describe("a driver on a PCI device in one process", () => {
  for (const mode of ["modern", "transitional", "legacy"] as const) {
    for (const interrupt of ["msix", "intx"] as const) {
      it(`reads entropy from a ${mode} device by ${interrupt}`, async () => {
        const { machine, host } = setUp();
        machine.devices.add("rng0", new EntropyDevice(), onPci(machine, { mode, interrupt }));
        const config = new PciConfigPorts(machine.ports);
        await drive(host, new PciFinder(host, { config, ports: machine.ports, mmio: machine }));
        expect(host.messages.strays).toBe(0);
        expect(host.lines.stuck).toBe(0);
      });
    }
  }

  it("reads entropy through the legacy interface of a transitional device", async () => {
    const { machine, host } = setUp();
    machine.devices.add("rng0", new EntropyDevice(), onPci(machine, { mode: "transitional" }));
    const config = new PciEcam(machine, ECAM);
    await drive(host, new PciFinder(host, { config, ports: machine.ports, mmio: null, interface: "legacy" }));
  });

  it.each(["legacy", "transitional"] as const)("finds a %s vsock device by the id that QEMU gives it", (mode) => {
    const { machine, host } = setUp();
    const vsock = new RecordingDevice({ deviceType: 19 });
    const { slot } = machine.devices.add("vsock0", vsock, onPci(machine, { mode })).attachment;
    const config = new PciConfigPorts(machine.ports);
    expect(config.read(slot.device << 3, 0, 4)).toBe(0x1012_1af4);
    const finder = new PciFinder(host, { config, ports: machine.ports, mmio: machine });
    expect([...findDevices([finder], 19)].length).toBe(1);
  });

  it.each([0n, feature(34), feature(29), feature(29, 34), feature(28, 29, 34, 35)])(
    "reads entropy without features 0x%x",
    async (without) => {
      const { machine, host } = setUp();
      machine.devices.add("rng0", new EntropyDevice(), onPci(machine, { ringFeatures: feature(28, 29, 32, 34, 35) }));
      const config = new PciEcam(machine, ECAM);
      await drive(host, new PciFinder(host, { config, ports: null, mmio: machine }), { without });
    },
  );

  it("places the BARs that firmware left without a place", async () => {
    const { machine, host } = setUp();
    const { memory, scheduler, pci } = machine;
    machine.devices.add("rng0", new EntropyDevice(), onPci({ memory, scheduler, pci, barPools: null }));
    const windows = { ports: new FreeList(0xc000, 0x1_0000), mmio: new FreeList(0xe000_0000, 0xe100_0000) };
    const config = new PciEcam(machine, ECAM);
    await drive(host, new PciFinder(host, { config, ports: machine.ports, mmio: machine, windows }));
    expect(windows.mmio.taken).toBe(2);
  });

  it("reaches a device through configuration space alone when its BARs are out of reach", async () => {
    const { machine, host } = setUp();
    machine.devices.add("rng0", new EntropyDevice(), onPci(machine));
    const config = new PciConfigPorts(machine.ports);
    await drive(host, new PciFinder(host, { config, ports: machine.ports, mmio: null }));
  });

  it("uses the pin when no message is left", async () => {
    const { machine, host } = setUp(0);
    machine.devices.add("rng0", new EntropyDevice(), onPci(machine));
    const config = new PciConfigPorts(machine.ports);
    await drive(host, new PciFinder(host, { config, ports: machine.ports, mmio: machine }));
  });
});

describe("a driver on an MMIO device in one process", () => {
  it.each([1, 2] as const)("reads entropy from a device of version %s", async (version) => {
    const { machine, host } = setUp();
    const { address, line } = machine.devices.add("rng0", new EntropyDevice(), onMmio(machine, { version })).attachment;
    await drive(host, new MmioFinder(host, machine, [{ address, line }]));
    expect(host.lines.stuck).toBe(0);
  });
});

describe("a search over several transports", () => {
  it("goes on where it was, device by device, and starts over when asked anew", () => {
    const { machine, host } = setUp();
    machine.devices.add("rng0", new EntropyDevice(), onPci(machine));
    machine.devices.add("rng1", new EntropyDevice(), onPci(machine));
    const { address, line } = machine.devices.add("rng2", new EntropyDevice(), onMmio(machine)).attachment;
    const config = new PciConfigPorts(machine.ports);
    const finders = [
      new PciFinder(host, { config, ports: machine.ports, mmio: machine }),
      new MmioFinder(host, machine, [
        { address: address + 0x1000, line },
        { address, line },
      ]),
    ];
    const search = findDevices(finders, VIRTIO_ID_ENTROPY);
    expect(search.next().value?.location).toBe("00:01.0");
    expect(search.next().value?.location).toBe("00:02.0");
    expect(search.next().value?.location).toBe(`0x${address.toString(16)}`);
    expect(search.next().done).toBe(true);
    expect([...findDevices(finders, VIRTIO_ID_ENTROPY)].map(({ kind }) => kind)).toEqual(["pci", "pci", "mmio"]);
    expect(() => connectFirst(finders, 1)).toThrow(expect.objectContaining({ code: "not-found", errno: "ENODEV" }));
  });
});
