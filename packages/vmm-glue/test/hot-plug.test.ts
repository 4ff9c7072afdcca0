/**
 * Network cards that come and go while a guest runs: after its driver has let go of them, or under its hands.
 */
import { ManualScheduler } from "@virtio-ts/virtio-device/testing";
import { describe, expect, it } from "vitest";
import { Machine } from "../src/index.ts";
import { frame, type Interface, Nic } from "./support/nic.ts";

const MEMORY = 0x80_0000;
const faces: readonly Interface[] = ["modern", "legacy"];

interface Scene {
  readonly machine: Machine;
  readonly scheduler: ManualScheduler;
  /** Stays. */
  readonly other: Nic;
  /** Goes. */
  readonly nic: Nic;
}

function scene(face: Interface): Scene {
  const scheduler = new ManualScheduler();
  const machine = new Machine({ memory: MEMORY, scheduler });
  const other = new Nic(machine, "other", "modern").up();
  return { machine, scheduler, other, nic: new Nic(machine, "nic", face, { interrupt: "msix" }).up() };
}

/** Every register of a function reads as where there is nobody, and nothing it is written has an effect. */
function expectNobody({ machine, nic }: Scene): void {
  for (const [bar, address] of nic.attachment.bars) {
    for (const offset of [0, 18, 20, bar.size - 4]) {
      const ports = bar.kind === "io";
      if (ports) machine.ports.write(address + offset, 4, 0);
      else machine.write(address + offset, 4, 0);
      expect(ports ? machine.ports.read(address + offset, 4) : machine.read(address + offset, 4)).toBe(0xffff_ffff);
    }
  }
  nic.config.write(4, 2, 7);
  expect([nic.config.read(0, 4), nic.config.read(4, 4)]).toEqual([0xffff_ffff, 0xffff_ffff]);
  expect(machine.pci.slotAt(nic.attachment.slot.device)).toBeNull();
}

describe.each(faces)("a card with a %s driver", (face) => {
  it("goes in order: once its driver has reset it nothing is on its way, and nothing is lost", async () => {
    const s = scene(face);
    const { nic, machine } = s;
    nic.postBuffers(4);
    nic.send(frame(1), frame(2));
    nic.wire.sendAll([frame(3)]);
    expect([nic.tx.takeUsed().length, nic.received(), nic.wire.frames]).toEqual([2, [frame(3)], [frame(1), frame(2)]]);
    nic.reset();
    nic.config.write(4, 2, 0);
    const before = machine.memory.regions[0].u8.slice();
    await machine.devices.remove("nic");
    expectNobody(s);
    expect(Buffer.compare(machine.memory.regions[0].u8, before)).toBe(0);
    s.other.expectWorks();
  });

  it("goes by surprise, in the middle of traffic: from then on it touches nothing, and interrupts nobody", async () => {
    const s = scene(face);
    const { nic, machine, scheduler, other } = s;
    nic.postBuffers(2);
    nic.wire.sendAll([1, 2, 3].map((seed) => frame(seed)));
    nic.wire.full = true;
    nic.send(frame(4), frame(5));
    const { line } = nic.attachment.slot.interrupt!;
    expect(machine.lineLog.isUp(line)).toBe(true);
    const removed = machine.devices.remove("nic");
    expect(machine.lineLog.isUp(line)).toBe(false);
    const before = machine.memory.regions[0].u8.slice();
    const messages = machine.messageLog.total;
    const edges = machine.lineLog.risen(line);
    nic.wire.drain();
    nic.wire.sendAll([frame(6)]);
    nic.device.linkUp = false;
    nic.device.queueNotify(1);
    scheduler.run();
    await removed;
    expectNobody(s);
    expect(Buffer.compare(machine.memory.regions[0].u8, before)).toBe(0);
    expect([machine.messageLog.total, machine.lineLog.risen(line)]).toEqual([messages, edges]);
    expect([machine.devices.ids, nic.faults]).toEqual([["other"], []]);
    other.expectWorks();
  });

  it("comes into the running machine, where the last one was, and works", async () => {
    const s = scene(face);
    const places = JSON.stringify([s.nic.attachment.slot.device, ...s.nic.attachment.bars.values()]);
    const { reserved } = s.machine.barPools.mmio;
    let { nic } = s;
    for (let i = 0; i < 20; i++) {
      nic.postBuffers(2);
      nic.send(frame(i));
      if (i % 2 === 0) nic.reset();
      await s.machine.devices.remove("nic");
      nic = new Nic(s.machine, "nic", face, { interrupt: "msix" });
      expect(JSON.stringify([nic.attachment.slot.device, ...nic.attachment.bars.values()])).toBe(places);
      expect(nic.registers.status()).toBe(0);
      nic.up();
      nic.expectWorks();
      s.other.expectWorks();
    }
    expect(s.machine.barPools.mmio.reserved).toBe(reserved);
  });
});
