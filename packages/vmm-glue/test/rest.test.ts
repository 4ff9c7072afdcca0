/**
 * A network card that has to rest: no bus master, asleep, suspended by its driver, or with one queue taken away. It
 * leaves memory alone, and no frame is lost over it.
 */
import { ManualScheduler } from "@virtio-ts/virtio-device/testing";
import { describe, expect, it } from "vitest";
import { Machine } from "../src/index.ts";
import { frame, Nic, type NicOptions, RX, TX } from "./support/nic.ts";
import type { ModernRegisters } from "./support/registers.ts";

const SUSPEND = 1n << 43n;
const RING_RESET = 1n << 40n;

function card(options: NicOptions = {}): { nic: Nic; machine: Machine; scheduler: ManualScheduler } {
  const scheduler = new ManualScheduler();
  const machine = new Machine({ memory: 0x80_0000, scheduler });
  const nic = new Nic(machine, "nic", "modern", options);
  nic.up(SUSPEND | RING_RESET);
  nic.postBuffers(4);
  return { nic, machine, scheduler };
}

type Switch = (nic: Nic) => void;
const power = (state: number): Switch => {
  return (nic) => nic.config.write(nic.config.capabilities(1)[0] + 4, 2, state);
};
const ways: readonly (readonly [string, NicOptions, rest: Switch, goOn: Switch])[] = [
  ["is no bus master", {}, (nic) => nic.config.write(4, 2, 3), (nic) => nic.config.write(4, 2, 7)],
  ["sleeps", { pci: { express: true } }, power(3), power(0)],
  ["is suspended", {}, (nic) => nic.registers.setStatus(31), (nic) => nic.registers.setStatus(15)],
];

describe.each(ways)("a card that %s", (_, options, rest, goOn) => {
  it("leaves memory alone, and goes on with all that came meanwhile", () => {
    const { nic, machine, scheduler } = card(options);
    rest(nic);
    const before = machine.memory.regions[0].u8.slice();
    expect(nic.wire.sendAll([frame(1), frame(2)])).toBe(0);
    nic.device.resume();
    scheduler.run();
    expect(Buffer.compare(machine.memory.regions[0].u8, before)).toBe(0);
    nic.send(frame(3), frame(4));
    nic.wire.drain();
    expect([nic.wire.frames, nic.tx.takeUsed(), nic.received()]).toEqual([[], [], []]);

    goOn(nic);
    scheduler.run();
    expect([nic.wire.frames, nic.tx.takeUsed().length]).toEqual([[frame(3), frame(4)], 2]);
    expect(nic.registers.isr()).toBe(1);
    expect(nic.wire.resumed).toBeGreaterThan(0);
    expect(nic.wire.sendAll([frame(1), frame(2)])).toBe(2);
    expect(nic.received()).toEqual([frame(1), frame(2)]);
    expect([nic.registers.isr(), nic.registers.status(), nic.faults]).toEqual([1, 15, []]);
  });

  it("can be reset meanwhile", () => {
    const { nic } = card(options);
    rest(nic);
    nic.wire.sendAll([frame(1)]);
    nic.attachment.transport.core.reset();
    expect(nic.wire.resumed).toBe(1);
    goOn(nic);
    nic.up();
    nic.expectWorks();
  });
});

describe("a card's queue that is reset alone", () => {
  const reset = ({ registers }: Nic, queue: number): number => {
    const { common } = registers as ModernRegisters;
    common.write(22, 2, queue);
    common.write(58, 2, 1);
    return common.read(58, 2);
  };

  it("to send from: what was on its way is not sent, and the next is, from a new ring", () => {
    const { nic, scheduler } = card();
    nic.wire.full = true;
    nic.send(frame(1));
    expect(reset(nic, TX)).toBe(0);
    nic.wire.drain();
    nic.registers.kick(TX);
    scheduler.run();
    expect([nic.wire.frames, nic.tx.takeUsed()]).toEqual([[], []]);
    nic.tx.clear();
    nic.registers.place(TX, nic.tx);
    nic.send(frame(2));
    expect([nic.wire.frames, nic.tx.takeUsed().length, nic.faults]).toEqual([[frame(2)], 1, []]);
  });

  it("to receive into: frames are counted as lost until there is a new ring", () => {
    const { nic } = card();
    nic.postBuffers(2);
    expect(reset(nic, RX)).toBe(0);
    expect(nic.wire.sendAll([frame(1)])).toBe(1);
    expect([nic.received(), nic.device.counters.dropped.rxNotReady]).toEqual([[], 1]);
    nic.rx.clear();
    nic.registers.place(RX, nic.rx);
    nic.postBuffers(1);
    expect(nic.wire.sendAll([frame(2)])).toBe(1);
    expect([nic.received(), nic.registers.status(), nic.faults]).toEqual([[frame(2)], 15, []]);
  });

  it("with frames that wait for its buffers: they go on", () => {
    const { nic } = card();
    nic.wire.sendAll([1, 2, 3, 4, 5].map((seed) => frame(seed)));
    const { resumed } = nic.wire;
    reset(nic, RX);
    expect(nic.wire.resumed).toBe(resumed + 1);
  });
});
