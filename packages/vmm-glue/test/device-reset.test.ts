/**
 * What a reset puts back (VIRTIO 1.4, 2.4): whatever a driver wrote before, every register it can read is as in a device
 * that nobody has touched. Over PCI and MMIO, read one by one, with each queue selected.
 */

import { propertyOptions } from "@virtio-ts/rounds";
import { FlexibleDevice, ManualScheduler } from "@virtio-ts/virtio-device/testing";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Machine, onMmio, onPci } from "../src/index.ts";
import { Config, ModernRegisters, type Window } from "./support/registers.ts";

/** A register as it can be written: offset and width. */
type Field = readonly [offset: number, width: 1 | 2 | 4];

const STATUSES = [1, 2, 3, 7, 8, 11, 15, 31, 128, 255];
const VALUES = [0, 1, 2, 3, 8, 16, 0x20, 0x1000, 0x4000, 0x8000, 0x7fff, 0xffff, 0xffff_ffff];

interface Face {
  readonly device: FlexibleDevice;
  readonly scheduler: ManualScheduler;
  readonly registers: Window;
  readonly fields: readonly Field[];
  /** Registers that are not the virtio device's alone, or move on for ever: the generation. */
  readonly skip: readonly number[];
  readonly select: Field;
  readonly status: Field;
  readonly kick: (queue: number) => void;
  /** What else tells of the past. */
  readonly also: () => unknown;
}

function fresh(on: "PCI" | "MMIO"): Face {
  const scheduler = new ManualScheduler();
  const machine = new Machine({ memory: 0x2_0000, scheduler });
  const device = new FlexibleDevice({ features: 0x21n, queues: [16, 16] });
  if (on === "MMIO") {
    const { address, line } = machine.devices.add("device", device, onMmio(machine)).attachment;
    const words = [0x14, 0x20, 0x24, 0x30, 0x38, 0x44, 0x64, 0x80, 0x84, 0x90, 0x94, 0xa0, 0xa4, 0xac, 0xc0];
    const registers: Window = {
      read: (offset, width) => machine.read(address + offset, width),
      write: (offset, width, value) => machine.write(address + offset, width, value),
    };
    return {
      device,
      scheduler,
      registers,
      fields: words.map((offset) => [offset, 4]),
      skip: [0xfc],
      select: [0x30, 4],
      status: [0x70, 4],
      kick: (queue) => registers.write(0x50, 4, queue),
      also: () => machine.lineLog.isUp(line),
    };
  }
  const { slot } = machine.devices.add("device", device, onPci(machine)).attachment;
  const config = new Config(machine, slot.device);
  config.write(4, 2, 7);
  const modern = new ModernRegisters(config);
  const words = [0, 8, 12, 32, 36, 40, 44, 48, 52].map((offset) => [offset, 4] as const);
  const shorts = [16, 22, 24, 26, 28, 58].map((offset) => [offset, 2] as const);
  return {
    device,
    scheduler,
    registers: modern.common,
    fields: [...words, ...shorts],
    skip: [21],
    select: [22, 2],
    status: [20, 1],
    kick: (queue) => modern.notify.write(4 * queue, 2, queue),
    also: () => [modern.isr(), machine.interrupts.isRaised(slot.interrupt?.line ?? 0)],
  };
}

/** Every register, as it reads with each queue selected; the rest of the past. */
function readAll(face: Face, size: number): unknown {
  const { registers, select, skip } = face;
  const first = [...Array(size).keys()].filter((at) => !skip.includes(at)).map((at) => registers.read(at, 1));
  const queues = [0, 1, 2, 0xffff].map((queue) => {
    registers.write(select[0], select[1], queue);
    return [...Array(size).keys()].filter((at) => !skip.includes(at)).map((at) => registers.read(at, 1));
  });
  registers.write(select[0], select[1], 0);
  return { first, queues, also: face.also() };
}

describe.each([
  ["PCI", 0x40],
  ["MMIO", 0x100],
] as const)("a reset of a device over %s", (on, size) => {
  it("puts every register back, whatever was written to them", () => {
    const untouched = JSON.stringify(readAll(fresh(on), size));
    const count = fresh(on).fields.length;
    let lived = 0;
    const step = fc.oneof(
      fc.tuple(fc.constant("field" as const), fc.nat({ max: count - 1 }), fc.constantFrom(...VALUES)),
      fc.tuple(fc.constant("status" as const), fc.constantFrom(...STATUSES), fc.constant(0)),
      fc.tuple(fc.constant("kick" as const), fc.nat({ max: 2 }), fc.constant(0)),
      fc.tuple(fc.constant("interrupt" as const), fc.nat({ max: 2 }), fc.constant(0)),
      fc.tuple(fc.constant("bring up" as const), fc.constantFrom(0, 0x100), fc.constant(0)),
    );
    const property = fc.property(fc.array(step, { maxLength: 40, size: "max" }), (steps) => {
      const face = fresh(on);
      const { registers, fields, status, device } = face;
      for (const [what, which, value] of steps) {
        if (what === "field") registers.write(fields[which][0], fields[which][1], value);
        else if (what === "status") registers.write(status[0], status[1], which);
        else if (what === "kick") face.kick(which);
        else if (what === "bring up") {
          registers.write(status[0], status[1], 0);
          bringUp(face, on, which);
        } else if (which === 2) device.context?.configChanged();
        else device.context?.queues[which]?.notifier.notify();
      }
      face.scheduler.run();
      lived += device.events.includes("activate") ? 1 : 0;
      registers.write(status[0], status[1], 0);
      const seen = readAll(face, size);
      if (JSON.stringify(seen) !== untouched) expect(seen).toEqual(JSON.parse(untouched));
      // And a driver that kicks nothing is told of nothing: no kick of the last one's is left.
      device.events.length = 0;
      bringUp(face, on, 0);
      expect(device.events).toEqual(["activate", "start 0", "start 1"]);
    });
    const options = propertyOptions(300);
    fc.assert(property, options);
    expect(lived).toBeGreaterThan(options.numRuns / 10);
  });
});

/** The way from a reset to DRIVER_OK, with two queues; `page1` are features from 32 on beside VERSION_1. */
function bringUp({ registers, status }: Face, on: "PCI" | "MMIO", page1: number): void {
  const setStatus = (value: number): void => registers.write(status[0], status[1], value);
  const at =
    on === "PCI"
      ? { page: 8, features: 12, select: [22, 2], enable: [28, 2], areas: [32, 40, 48] }
      : { page: 0x24, features: 0x20, select: [0x30, 4], enable: [0x44, 4], areas: [0x80, 0x90, 0xa0] };
  setStatus(1);
  setStatus(3);
  registers.write(at.page, 4, 0);
  registers.write(at.features, 4, 0);
  registers.write(at.page, 4, 1);
  registers.write(at.features, 4, 1 | page1);
  setStatus(11);
  for (const queue of [0, 1]) {
    registers.write(at.select[0], at.select[1] as 2 | 4, queue);
    if (on === "PCI") registers.write(26, 2, queue);
    for (const [i, area] of at.areas.entries()) registers.write(area, 4, 0x4000 * (queue + 1) + 0x1000 * i);
    registers.write(at.enable[0], at.enable[1] as 2 | 4, 1);
  }
  setStatus(15);
}
