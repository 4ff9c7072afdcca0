/** What the standard says of every device (VIRTIO 1.4, 2.2.4 and 2.10), where it takes a transport to show. */
import type { SharedMemoryList } from "@virtio-ts/virtio-device";
import { ManualScheduler, RecordingDevice } from "@virtio-ts/virtio-device/testing";
import { MemoryRegion } from "@virtio-ts/vm-memory";
import { describe, expect, it } from "vitest";
import { Machine, onPci } from "../src/index.ts";
import { frame, Nic } from "./support/nic.ts";
import { Config, type LegacyRegisters, ModernRegisters } from "./support/registers.ts";

const WINDOW = 4096;
const SHARED_MEMORY = 8;

/** A live device with a window of shared memory. */
function sharing() {
  const machine = new Machine({ memory: 0x10_0000, scheduler: new ManualScheduler() });
  class Sharing extends RecordingDevice {
    readonly region = new MemoryRegion(2 ** 40, new Uint8Array(WINDOW));
    resourceRequests() {
      return [{ kind: "shared-memory", size: WINDOW, align: WINDOW } as const];
    }
    setResources(): SharedMemoryList {
      return {
        guestAddress: 2 ** 40,
        length: WINDOW,
        backing: this.region,
        regions: [{ id: 0, offset: 0, length: WINDOW }],
      };
    }
  }
  const device = new Sharing();
  const { attachment } = machine.devices.add("sharing", device, onPci(machine, { interrupt: "intx" }));
  const { transport, slot } = attachment;
  const config = new Config(machine, slot.device);
  const registers = new ModernRegisters(config);
  registers.setStatus(3);
  registers.accept(1n << 32n);
  registers.setStatus(11);
  return { machine, device, transport, config, registers };
}

describe("shared memory regions (2.10)", () => {
  it("hold nothing that controls the device: written all over, it is as it was [shm.device.shared-memory-regions.1]", () => {
    const { machine, device, transport, config, registers } = sharing();
    registers.areas(0, 0x1000, 0x2000, 0x3000);
    registers.common.write(28, 2, 1);
    registers.setStatus(15);
    const at = config.capabilities(9).find((each) => config.read(each + 3, 1) === SHARED_MEMORY);
    const window = config.bar(config.read((at ?? 0) + 4, 1));
    const before = { state: transport.save(), memory: machine.memory.regions[0].u8.slice() };
    device.events.length = 0;
    for (const value of [0xffff_ffff, 0, 0x0f0f_0f0f, 1]) {
      for (let offset = 0; offset < WINDOW; offset += 4) window.write(offset, 4, value);
      expect(device.region.u8.every((byte, i) => byte === (value >>> (8 * (i % 4))) % 256)).toBe(true);
    }
    expect([transport.save(), device.events]).toEqual([before.state, []]);
    expect(Buffer.compare(machine.memory.regions[0].u8, before.memory)).toBe(0); // a MiB: toEqual takes seconds
  });

  it("carry no queue: one that is placed there is refused [shm.device.shared-memory-regions.1]", () => {
    const { transport, registers, device } = sharing();
    registers.areas(0, 2 ** 40, 2 ** 40 + 0x400, 2 ** 40 + 0x800);
    registers.common.write(28, 2, 1);
    registers.setStatus(15);
    expect([registers.status(), device.events]).toEqual([11 | 64, []]);
    expect(transport.core.counters.faults).toBe(1);
  });
});

describe("the legacy interface (2.2.4)", () => {
  const machine = (): Machine => new Machine({ memory: 0x80_0000 });

  it("is there for those who want it, and is not for others [basic.legacy.both.legacy-interface-a-note-on-feature-bits.3]", () => {
    const modern = new Nic(machine(), "nic", "modern");
    const transitional = new Nic(machine(), "nic", "legacy");
    const ids = [modern, transitional].map(({ config }) => config.read(2, 2));
    expect(ids).toEqual([0x1041, 0x1000]);
    modern.up().expectWorks();
    transitional.up().expectWorks();
  });

  it("makes of a transitional device a legacy one, and leaves it a modern one over the other [basic.legacy.both.legacy-interface-a-note-on-feature-bits.4]", () => {
    const nic = new Nic(machine(), "nic", "legacy", { mac: Uint8Array.of(2, 0, 0, 0, 0, 1) });
    // No FEATURES_OK (3.1.2), rings by page (2.7.2), headers of 10 bytes (5.1.6.1), a MAC that can be written (5.1.4.1).
    nic.up();
    expect([nic.registers.status(), nic.headerSize]).toEqual([7, 10]);
    nic.expectWorks();
    const legacy = nic.registers as LegacyRegisters;
    legacy.ports.write(20 + 5, 1, 9);
    expect(legacy.config(5, 1)).toBe(9);
    nic.reset();
    expect(legacy.config(5, 1)).toBe(1);

    nic.registers = new ModernRegisters(nic.config);
    nic.up();
    expect([nic.registers.status(), nic.headerSize]).toEqual([15, 12]);
    nic.expectWorks();
    (nic.registers as ModernRegisters).deviceConfig.write(5, 1, 9);
    expect(nic.registers.config(5, 1)).toBe(1);
  });

  it("has no generation: a driver that reads the MAC until it is twice the same has it whole [basic.legacy.both.legacy-interface-device-configuration-space.1]", () => {
    const nic = new Nic(machine(), "nic", "legacy");
    nic.up();
    const { ports } = nic.registers as LegacyRegisters;
    let reads = 0;
    const change = (): void => {
      if (++reads <= 3) for (let i = 0; i < 6; i++) ports.write(20 + i, 1, 0x10 * reads + i);
    };
    const readMac = (): number[] => {
      const low = [0, 1, 2].map((i) => nic.registers.config(i, 1));
      change(); // another of the guest's processors
      return [...low, ...[3, 4, 5].map((i) => nic.registers.config(i, 1))];
    };
    let mac = readMac();
    for (let again = readMac(); again.join() !== mac.join(); again = readMac()) mac = again;
    expect([mac, reads]).toEqual([[0x30, 0x31, 0x32, 0x33, 0x34, 0x35], 5]);
    nic.send(frame(1));
    expect(nic.wire.frames).toEqual([frame(1)]);
  });
});
