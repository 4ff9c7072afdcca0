import { RecordingDevice } from "@virtio-ts/virtio-device/testing";
import { describe, expect, it } from "vitest";
import { type DeviceManagerError, Machine, onMmio, onPci } from "../src/index.ts";
import { codeOf } from "./support/block.ts";

const MAGIC = 0x7472_6976;

/** Takes the device at `address` to DRIVER_OK, without queues. */
function goLive(machine: Machine, address: number): void {
  for (const status of [1, 3]) machine.write(address + 0x70, 4, status);
  machine.write(address + 0x24, 4, 1);
  machine.write(address + 0x20, 4, 1);
  for (const status of [11, 15]) machine.write(address + 0x70, 4, status);
}

describe("a device in memory-mapped I/O", () => {
  it("gets a page and a line of its own, and is there", () => {
    const machine = new Machine({ memory: 4096 });
    const first = machine.devices.add("a", new RecordingDevice(), onMmio(machine)).attachment;
    const second = machine.devices.add("b", new RecordingDevice({ deviceType: 4 }), onMmio(machine)).attachment;
    expect([first.address, first.line, second.address, second.line]).toEqual([0xe000_0000, 5, 0xe000_1000, 9]);
    expect([machine.read(first.address, 4), machine.read(second.address, 4)]).toEqual([MAGIC, MAGIC]);
    expect([machine.read(first.address + 8, 4), machine.read(second.address + 8, 4)]).toEqual([1, 4]);
  });

  it("gets the address and the line that are asked for", () => {
    const machine = new Machine({ memory: 4096 });
    const { attachment } = machine.devices.add(
      "a",
      new RecordingDevice(),
      onMmio(machine, { address: 0xfed8_0000, line: 11, version: 1 }),
    );
    expect([attachment.address, attachment.line, machine.read(0xfed8_0004, 4)]).toEqual([0xfed8_0000, 11, 1]);
  });

  it("raises its line, which others on it do not lower", () => {
    const machine = new Machine({ memory: 4096 });
    const devices = ["a", "b"].map((id) => {
      const device = new RecordingDevice();
      const { address } = machine.devices.add(id, device, onMmio(machine, { line: 10 })).attachment;
      goLive(machine, address);
      device.context?.configChanged();
      return address;
    });
    expect([machine.lineLog.isUp(10), machine.read(devices[0] + 0x60, 4)]).toEqual([true, 2]);
    machine.write(devices[0] + 0x64, 4, 2);
    expect(machine.lineLog.isUp(10)).toBe(true);
    machine.write(devices[1] + 0x64, 4, 2);
    expect(machine.lineLog.isUp(10)).toBe(false);
  });

  it("leaves nothing behind when it is taken out while it runs", async () => {
    const machine = new Machine({ memory: 4096 });
    const device = new RecordingDevice();
    const { address, line } = machine.devices.add("a", device, onMmio(machine)).attachment;
    goLive(machine, address);
    device.context?.configChanged();
    await machine.devices.remove("a");
    expect(device.events).toEqual(["activate", "reset", "remove"]);
    expect([machine.read(address, 4), machine.lineLog.isUp(line)]).toEqual([0xffff_ffff, false]);
    expect([machine.mmioPool.reserved, machine.resources.freeLines]).toEqual([0, [5, 9, 10, 11]]);
    const again = machine.devices.add("a", device, onMmio(machine)).attachment;
    expect([again.address, again.line]).toEqual([address, 5]);
  });

  it.each([
    ["an address that is taken", { address: 0xe000_0000 }],
    ["an address outside the address space", { address: 2 ** 52 }],
    ["a line that is not for devices", { line: 4 }],
    ["extensions of another version", { version: 1, dragonball: {} }],
  ] as const)("is refused, and keeps nothing, for %s", (_, options) => {
    const machine = new Machine({ memory: 4096 });
    machine.devices.add("a", new RecordingDevice(), onMmio(machine));
    let thrown: unknown;
    try {
      machine.devices.add("b", new RecordingDevice(), onMmio(machine, options));
    } catch (cause) {
      thrown = cause;
    }
    expect((thrown as DeviceManagerError).code).toBe("attach");
    expect([machine.devices.ids, machine.mmioPool.reserved]).toEqual([["a"], 1]);
    expect(new Set(machine.resources.freeLines)).toEqual(new Set([9, 10, 11]));
  });

  it("lives beside devices on the PCI bus, whose BARs are put elsewhere", () => {
    const machine = new Machine({ memory: 4096 });
    const { address } = machine.devices.add("a", new RecordingDevice(), onMmio(machine)).attachment;
    const { bars } = machine.devices.add("b", new RecordingDevice(), onPci(machine)).attachment;
    expect([address, Math.min(...bars.values()) >= address + 0x1000]).toEqual([0xe000_0000, true]);
    expect(codeOf(() => machine.mmioPool.takeAt(address, 4))).toBe("overlap");
  });
});
