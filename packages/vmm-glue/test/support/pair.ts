/**
 * Two cards on one bus: one for the test to mistreat, one to show that the rest of the machine goes on.
 * @module
 */

import { GuestMemory, MemoryRegion } from "@virtio-ts/vm-memory";
import { expect } from "vitest";
import { Machine } from "../../src/index.ts";
import { type Interface, Nic, type NicOptions } from "./nic.ts";

/** End of the lower region of memory. */
export const RAM_END = 0xc0_0000;
/** Start of the region behind the hole. */
export const HIGH_START = 0x100_0000;
const HIGH_SIZE = 0x1_0000;
const NEEDS_RESET = 0x40;

/** Both cards are up. Memory has a hole from {@link RAM_END} to {@link HIGH_START}. */
export class Pair {
  readonly machine: Machine;
  readonly victim: Nic;
  readonly bystander: Nic;

  constructor(face: Interface, options: NicOptions = {}) {
    const low = new MemoryRegion(0, new Uint8Array(RAM_END));
    const high = new MemoryRegion(HIGH_START, new Uint8Array(HIGH_SIZE));
    this.machine = new Machine({ memory: new GuestMemory([low, high]) });
    this.victim = new Nic(this.machine, "victim", face, options).up();
    this.bystander = new Nic(this.machine, "bystander", "modern").up();
  }

  /** Runs `attack` and shows that it wrote nowhere in memory but where the victim's device areas are. */
  writesOnlyUsedRings(attack: () => void): void {
    const before = this.machine.memory.regions.map((region) => region.u8.slice());
    attack();
    const { rx, tx } = this.victim;
    for (const ring of [rx, tx]) {
      const end = ring.used + 6 + 8 * ring.size;
      for (const bytes of [before[0], this.machine.memory.regions[0].u8]) bytes.fill(0, ring.used, end);
    }
    this.machine.memory.regions.forEach((region, i) => {
      expect(Buffer.compare(region.u8, before[i]), `region ${i} is unchanged`).toBe(0);
    });
  }

  /** The victim asks for a reset, and its guest was told. */
  expectNeedsReset(code: string): void {
    const { victim } = this;
    expect(victim.registers.status() & NEEDS_RESET).toBe(NEEDS_RESET);
    expect(victim.registers.isr() & 2, "a configuration change interrupt").toBe(2);
    const [fault] = victim.faults;
    expect([fault.code, (fault.cause as { code?: string }).code]).toEqual(["queue-malformed", code]);
    expect(victim.attachment.transport.core.counters.faults).toBe(victim.faults.length);
  }

  /** The bystander works, and so does the victim once its driver has reset it. */
  expectRecovery(features = 0n): void {
    this.bystander.expectWorks();
    this.victim.up(features);
    this.victim.wire.frames.length = 0;
    this.victim.expectWorks();
    this.bystander.expectWorks();
  }
}
