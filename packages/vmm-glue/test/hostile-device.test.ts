/**
 * A device of somebody's own that throws where it must not, seen from the machine: its driver is told that it needs a
 * reset, the machine is told why, and the other card on the bus works on.
 */
import type { ActivationContext, ConfigError, DeviceFault } from "@virtio-ts/virtio-device";
import { RecordingDevice } from "@virtio-ts/virtio-device/testing";
import { describe, expect, it } from "vitest";
import { onPci } from "../src/index.ts";
import { Pair } from "./support/pair.ts";
import { Config, ModernRegisters } from "./support/registers.ts";
import { Ring } from "./support/ring.ts";

const NEEDS_RESET = 0x40;

type Method = "queueNotify" | "readConfig" | "writeConfig" | "reset" | "activate";

/** Throws in the methods it is told to. */
class BrokenDevice extends RecordingDevice {
  readonly broken = new Set<Method>();

  override queueNotify(index: number): void {
    this.#check("queueNotify");
    super.queueNotify(index);
  }

  override readConfig(offset: number, data: Uint8Array): ConfigError | null {
    this.#check("readConfig");
    return super.readConfig(offset, data);
  }

  override writeConfig(offset: number, data: Uint8Array): ConfigError | null {
    this.#check("writeConfig");
    return super.writeConfig(offset, data);
  }

  override activate(context: ActivationContext): void {
    this.#check("activate");
    super.activate(context);
  }

  override reset(): void | Promise<void> {
    this.#check("reset");
    return super.reset();
  }

  #check(method: Method): void {
    if (this.broken.has(method)) throw new Error(`broken ${method}`);
  }
}

class Guest {
  readonly pair = new Pair("modern");
  readonly device = new BrokenDevice({ queues: [16] });
  readonly faults: DeviceFault[] = [];
  readonly registers: ModernRegisters;
  readonly ring: Ring;

  constructor() {
    const { machine } = this.pair;
    const attach = onPci(machine, { onFault: (fault) => this.faults.push(fault) });
    const { slot } = machine.devices.add("broken", this.device, attach).attachment;
    this.registers = new ModernRegisters(new Config(machine, slot.device));
    this.ring = new Ring(machine.memory, 0x8_0000, 16);
  }

  up(): void {
    this.registers.setStatus(0);
    this.initialize();
  }

  /** The steps of a driver, without the reset. */
  initialize(): void {
    this.ring.clear();
    this.registers.setStatus(1);
    this.registers.setStatus(3);
    this.registers.accept(1n << 32n);
    this.registers.setStatus(11);
    this.registers.place(0, this.ring);
    this.registers.setStatus(15);
  }
}

describe("a device that throws", () => {
  it.each([
    ["queueNotify", (guest: Guest) => guest.registers.kick(0)],
    ["readConfig", (guest: Guest) => expect(guest.registers.config(0, 4)).toBe(0)],
    ["writeConfig", (guest: Guest) => guest.registers.deviceConfig.write(0, 4, 1)],
  ] as const)("from %s needs a reset, which brings it back", (method, provoke) => {
    const guest = new Guest();
    guest.up();
    guest.device.broken.add(method);
    provoke(guest);
    expect(guest.registers.status()).toBe(15 | NEEDS_RESET);
    expect(guest.faults.map(({ code, cause }) => [code, (cause as Error).message])).toEqual([
      ["device-error", `broken ${method}`],
    ]);
    guest.device.broken.clear();
    guest.up();
    expect(guest.registers.status()).toBe(15);
    guest.pair.bystander.expectWorks();
  });

  it("from activate does not come up", () => {
    const guest = new Guest();
    guest.device.broken.add("activate");
    guest.up();
    expect(guest.registers.status()).toBe(11 | NEEDS_RESET);
    expect(guest.faults[0].code).toBe("activation-failed");
    guest.pair.bystander.expectWorks();
  });

  it("from reset is reset, and says that it is broken", async () => {
    const guest = new Guest();
    guest.up();
    guest.device.broken.add("reset");
    guest.registers.setStatus(0);
    await new Promise((resolve) => setImmediate(resolve));
    expect(guest.registers.status()).toBe(NEEDS_RESET);
    expect(guest.faults.map(({ code }) => code)).toEqual(["device-error"]);
    guest.registers.kick(0);
    expect(guest.device.events).not.toContain("notify 0");
    guest.device.broken.clear();
    guest.up();
    expect(guest.registers.status()).toBe(15);
    await guest.pair.machine.devices.remove("broken");
    guest.pair.bystander.expectWorks();
  });

  it("from activate and reset both ends in one fault, and no rejection that nobody handles", async () => {
    const guest = new Guest();
    guest.device.broken.add("activate").add("reset");
    guest.initialize();
    await new Promise((resolve) => setImmediate(resolve));
    expect(guest.faults.map(({ code }) => code)).toEqual(["activation-failed"]);
    guest.pair.bystander.expectWorks();
  });
});
