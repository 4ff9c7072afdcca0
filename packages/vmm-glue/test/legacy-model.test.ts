/**
 * The legacy interface beside a model of it that knows nothing of the code: what the standard says of it (VIRTIO 1.4,
 * 2.1, 2.2.4, 2.7.2, 3.1.2, 4.1.4.10, 4.2.4), and what drivers from before the standard are used to: bits of the status
 * in any order, queues at any time, features until the device is in use, a page of 0 at any time. Arbitrary accesses are
 * played to both, over PCI and over MMIO.
 */

import { propertyOptions } from "@virtio-ts/rounds";
import { FlexibleDevice } from "@virtio-ts/virtio-device/testing";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Machine, onMmio, onPci } from "../src/index.ts";
import { Config } from "./support/registers.ts";

const QUEUES = 2;
const FAILED = 128;
const DRIVER_OK = 4;
/** ACKNOWLEDGE, DRIVER, DRIVER_OK, FEATURES_OK, FAILED: the bits there are. */
const STATUS_BITS = 1 | 2 | 4 | 8 | 128;
/** What the device and its rings offer, ANY_LAYOUT with it. */
const OFFERED = 0x3800_0021;

/** The interface as the model and the real one have it. */
interface Interface {
  setStatus(value: number): void;
  setFeatures(value: number): void;
  place(queue: number, page: number): void;
  kick(queue: number): void;
  /** Everything that can be read, and what happened to the device so far. */
  seen(): unknown;
}

class Model implements Interface {
  readonly #events: string[] = [];
  #status = 0;
  #features = 0;
  #pages = new Array<number>(QUEUES).fill(0);
  /** What the device in use was given of the features; `null` while it is not in use. */
  #agreed: number | null = null;
  /** Kicks of before DRIVER_OK, each once. */
  #waiting: number[] = [];

  setStatus(value: number): void {
    if (value === 0) this.#reset();
    else if ((this.#status & DRIVER_OK) !== 0) this.#status |= value & FAILED;
    else {
      const bits = this.#status | (value & STATUS_BITS);
      const starts = (bits & DRIVER_OK) !== 0 && ((bits & FAILED) === 0 || this.#agreed !== null);
      this.#status = starts ? bits : bits & ~DRIVER_OK;
      if (!starts) return;
      this.#use();
      for (const queue of this.#waiting.splice(0)) if (this.#pages[queue] !== 0) this.#events.push(`notify ${queue}`);
    }
  }

  setFeatures(value: number): void {
    if (this.#agreed === null) this.#features = value;
  }

  place(queue: number, page: number): void {
    if (queue >= QUEUES) return;
    const used = this.#agreed !== null && this.#pages[queue] !== 0;
    if (used && page === 0) this.#reset();
    if (used) return;
    this.#pages[queue] = page;
    if (this.#agreed !== null && page !== 0) this.#events.push(`start ${queue}`);
  }

  kick(queue: number): void {
    if (queue >= QUEUES) return;
    const placed = this.#pages[queue] !== 0;
    // A driver that has written any status may use the device before DRIVER_OK, unless it has given up.
    if (placed && this.#status !== 0 && (this.#status & FAILED) === 0) this.#use();
    if (placed && this.#agreed !== null) this.#events.push(`notify ${queue}`);
    else if ((this.#status & DRIVER_OK) === 0 && !this.#waiting.includes(queue)) this.#waiting.push(queue);
  }

  seen(): unknown {
    const agreed = this.#agreed ?? "not in use";
    return { status: this.#status, pages: [...this.#pages], agreed, events: this.#events };
  }

  #use(): void {
    if (this.#agreed !== null) return;
    this.#agreed = (this.#features & OFFERED) >>> 0;
    this.#events.push("activate");
    this.#pages.forEach((page, queue) => {
      if (page !== 0) this.#events.push(`start ${queue}`);
    });
  }

  #reset(): void {
    this.#events.push("reset");
    this.#status = 0;
    this.#features = 0;
    this.#pages.fill(0);
    this.#agreed = null;
    this.#waiting = [];
  }
}

/** A device behind its registers. */
class Real implements Interface {
  readonly #device = new FlexibleDevice({ features: 0x21n, queues: [16, 16] });
  readonly #machine = new Machine({ memory: 0x2_0000 });
  readonly #write: (name: "status" | "features" | "select" | "page" | "kick", value: number) => void;
  readonly #read: (name: "status" | "page") => number;

  constructor(on: "PCI" | "MMIO") {
    const machine = this.#machine;
    if (on === "PCI") {
      const { slot } = machine.devices.add("device", this.#device, onPci(machine, { mode: "legacy" })).attachment;
      const config = new Config(machine, slot.device);
      config.write(4, 2, 5);
      const ports = config.bar(0);
      const at = { status: [18, 1], features: [4, 4], select: [14, 2], page: [8, 4], kick: [16, 2] } as const;
      this.#write = (name, value) => ports.write(at[name][0], at[name][1], value);
      this.#read = (name) => ports.read(at[name][0], at[name][1]);
    } else {
      const { address } = machine.devices.add("device", this.#device, onMmio(machine, { version: 1 })).attachment;
      const at = { status: 0x70, features: 0x20, select: 0x30, page: 0x40, kick: 0x50 } as const;
      this.#write = (name, value) => machine.write(address + at[name], 4, value);
      this.#read = (name) => machine.read(address + at[name], 4);
    }
  }

  setStatus(value: number): void {
    this.#write("status", value);
  }

  setFeatures(value: number): void {
    this.#write("features", value);
  }

  place(queue: number, page: number): void {
    this.#write("select", queue);
    this.#write("page", page);
  }

  kick(queue: number): void {
    this.#write("kick", queue);
  }

  seen(): unknown {
    const pages = [0, 1].map((queue) => {
      this.#write("select", queue);
      return this.#read("page");
    });
    const { events, context } = this.#device;
    const inUse = events.lastIndexOf("activate") > events.lastIndexOf("reset");
    return {
      status: this.#read("status"),
      pages,
      agreed: inUse ? Number(context?.features) : "not in use",
      events,
    };
  }
}

type Step = readonly [name: "setStatus" | "setFeatures" | "place" | "kick", ...args: number[]];

const queue = fc.constantFrom(0, 0, 1, 1, 2, 0xffff);
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.tuple(
    fc.constant("setStatus" as const),
    fc.constantFrom(0, 1, 2, 3, 4, 5, 6, 7, 8, 11, 12, 15, 32, 128, 132, 255),
  ),
  fc.tuple(fc.constant("setFeatures" as const), fc.constantFrom(0, 1, 0x20, 0x3000_0021, 0xffff_ffff)),
  fc.tuple(fc.constant("place" as const), queue, fc.constantFrom(0, 0, 4, 8, 12)),
  fc.tuple(fc.constant("kick" as const), queue),
);

function play(on: Interface, [name, ...args]: Step): void {
  if (name === "place") on.place(args[0], args[1]);
  else on[name](args[0]);
}

describe.each(["PCI", "MMIO"] as const)("the legacy interface over %s", (on) => {
  it("does what the model does, whatever a driver writes", () => {
    const seen = { used: 0, early: 0 };
    const property = fc.property(fc.array(step, { maxLength: 40, size: "max" }), (steps) => {
      const [real, model] = [new Real(on), new Model()];
      for (const each of steps) {
        play(real, each);
        play(model, each);
        const [is, should] = [real.seen(), model.seen()];
        if (JSON.stringify(is) !== JSON.stringify(should)) expect(is).toEqual(should);
        const { status, agreed } = should as { status: number; agreed: unknown };
        if (agreed !== "not in use") seen[(status & DRIVER_OK) === 0 ? "early" : "used"]++;
      }
    });
    const options = propertyOptions(400);
    fc.assert(property, options);
    expect(Math.min(seen.used, seen.early)).toBeGreaterThan(options.numRuns / 10);
  });
});
