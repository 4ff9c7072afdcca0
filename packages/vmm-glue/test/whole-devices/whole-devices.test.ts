/**
 * Whole devices on every transport, under a guest that does anything, with an oracle over memory: no byte is written
 * outside of what is offered and not yet given back, no frame has a byte from outside of what was offered, nothing
 * throws, each call is bounded, and a reset brings the device back.
 */
import { propertyOptions } from "@virtio-ts/rounds";
import fc from "fast-check";
import { describe, test } from "vitest";
import { echo } from "./support/echo-subject.ts";
import { L4Port } from "./support/l4-port.ts";
import { MmioPort } from "./support/mmio-port.ts";
import { nic } from "./support/nic-subject.ts";
import { PciLegacyPort, PciModernPort } from "./support/pci-port.ts";
import type { Plug } from "./support/port.ts";
import type { MakeSubject } from "./support/subject.ts";
import { STEP_KINDS, World } from "./support/world.ts";

/** Histories of each device on each transport. */
const HISTORIES = 60;
const STEPS = 60;

const TRANSPORTS: readonly (readonly [string, Plug])[] = [
  ["PCI, modern", (device, around) => new PciModernPort(device, around)],
  ["PCI, transitional as legacy", (device, around) => new PciLegacyPort(device, around)],
  ["MMIO, version 2", (device, around) => new MmioPort(device, around, 2)],
  ["MMIO, version 1", (device, around) => new MmioPort(device, around, 1)],
  ["L4-VIRTIO", (device, around) => new L4Port(device, around)],
];

const SUBJECTS: readonly (readonly [string, MakeSubject])[] = [
  ["a NIC", nic(false)],
  ["a NIC that gathers kicks", nic(true)],
  ["a device of workers", echo(false)],
  ["a device that answers late", echo(true)],
];

const history = fc.array(fc.tuple(fc.nat(STEP_KINDS - 1), fc.nat(2 ** 31 - 1)), { maxLength: STEPS, size: "max" });

describe.each(TRANSPORTS)("over %s", (_, plug) => {
  test.each(SUBJECTS)("%s keeps to what is offered, whatever its driver and the world do", (_name, make) => {
    fc.assert(
      fc.property(history, (steps) => {
        const world = new World(plug, make);
        world.bringUp(world.random, false);
        for (const [kind, seed] of steps) world.step(kind, seed);
        world.finish();
      }),
      propertyOptions(HISTORIES),
    );
  });
});
