/** The link to QEMU itself: registers, shared memory, interrupt lines, the end. */
import { afterEach, describe, expect, test } from "vitest";
import { hasPeers } from "../src/peers.ts";
import { BOARDS, type BoardName } from "../src/qemu/boards.ts";
import { QemuMachine } from "../src/qemu/machine.ts";

const MAGIC = 0x7472_6976;
let machine: QemuMachine | undefined;
afterEach(() => machine?.close());

const names = Object.keys(BOARDS) as BoardName[];

describe.each(names)("%s", (name) => {
  const { program, memoryStart } = BOARDS[name];

  test.runIf(hasPeers(program))("shares its memory with this process, both ways", async () => {
    machine = await QemuMachine.start(name, []);
    const address = memoryStart + 0x200_0000;
    machine.host.memory.writeU32(address, 0xcafe_f00d);
    expect(machine.link.mmio.read(address, 4)).toBe(0xcafe_f00d);
    machine.link.mmio.write(address + 4, 2, 0x1234);
    expect(machine.host.memory.readU16(address + 4)).toBe(0x1234);
  });
});

describe.each(names.filter((name) => BOARDS[name].mmio !== undefined))("%s", (name) => {
  const { program, mmio } = BOARDS[name];

  test.runIf(hasPeers(program))("has its first virtio-mmio device in the last slot", async () => {
    machine = await QemuMachine.start(name, ["-device", "virtio-rng-device"]);
    const { start, step, count } = mmio!;
    const slots = Array.from({ length: count }, (_, i) => start + i * step);
    expect(slots.map((slot) => machine!.link.mmio.read(slot, 4))).toEqual(slots.map(() => MAGIC));
    expect(slots.map((slot) => machine!.link.mmio.read(slot + 8, 4))).toEqual([...slots.slice(1).map(() => 0), 4]);
  });
});

test.runIf(hasPeers("qemu-system-x86_64"))("a QEMU that does not start says why", async () => {
  await expect(QemuMachine.start("q35", ["-device", "no-such-device"])).rejects.toThrow(/no-such-device/);
});

test.runIf(hasPeers("qemu-system-x86_64"))("a QEMU that was killed is a device that is gone", async () => {
  machine = await QemuMachine.start("q35", []);
  await machine.kill();
  expect(() => machine!.link.ports.read(0xcf8, 4)).toThrow(expect.objectContaining({ code: "device-gone" }));
});
