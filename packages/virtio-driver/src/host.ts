/**
 * What drivers and the driver halves of transports need of the machine they run on: memory that devices reach,
 * registers, interrupts, time. For whoever lets a driver run: a plain process, a unikernel in a page, a link to an
 * emulator.
 * @module
 */

import type { AccessWidth } from "@virtio-ts/vm-device";
import type { GuestMemory } from "@virtio-ts/vm-memory";

/** Hands out memory that devices reach. */
export interface DmaAllocator {
  /**
   * Takes `length` bytes, zeroed.
   * @param align a power of two, bytes
   * @param limit where given, the block ends at or below this address
   * @returns the guest-physical address
   * @throws DriverError `no-memory`
   */
  allocate(length: number, align: number, limit?: number): number;
  /** Gives a block back. @throws DriverError `invalid` for an address that was not allocated */
  free(address: number): void;
}

/** One address space of registers, by the processor's accesses: I/O ports, or memory-mapped I/O. */
export interface RegisterAccess {
  /** Reads 1, 2 or 4 bytes, little endian, unsigned. */
  read(address: number, width: AccessWidth): number;
  /** Writes 1, 2 or 4 bytes, little endian. */
  write(address: number, width: AccessWidth, value: number): void;
}

/** A message a device can be told to send, and what it leads to. */
export interface HostMessage {
  /** Where the device writes, below 2^53. */
  readonly address: number;
  /** The 32 bits it writes there. */
  readonly data: number;
  /** Lets go of it. */
  release(): void;
}

/** Interrupts, as drivers get them. Handlers never throw. */
export interface HostInterrupts {
  /**
   * Calls `handler` while line `line` is asserted: until it has made its device lower it.
   * @returns lets go of the line
   */
  connectLine(line: number, handler: () => void): () => void;
  /** A message that calls `handler`; `null` where there is none (left). */
  allocateMessage(handler: () => void): HostMessage | null;
}

/** Time, as bounded waits need it. */
export interface HostClock {
  /** Milliseconds since some moment. */
  now(): number;
  /** Waits at least `ms` milliseconds, and lets devices and interrupts have their turn; 0: one turn. */
  sleep(ms: number): Promise<void>;
}

/** The machine a driver runs on. */
export interface DriverHost {
  /** Memory that driver and devices share. */
  readonly memory: GuestMemory;
  /** Blocks of it. */
  readonly dma: DmaAllocator;
  readonly interrupts: HostInterrupts;
  readonly clock: HostClock;
}
