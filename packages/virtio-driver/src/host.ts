/**
 * The machine that drivers, and the driver halves of transports, run on: memory that devices reach, registers,
 * interrupts, time. For authors of such machines: a plain process, a unikernel in a page, a link to an emulator.
 * @module
 */

import type { AccessWidth } from "@virtio-ts/vm-device";
import type { GuestMemory } from "@virtio-ts/vm-memory";

/** Allocates memory that devices reach. */
export interface DmaAllocator {
  /**
   * Allocates `length` bytes, zeroed.
   * @param align a power of two, bytes
   * @param limit if given, the block ends at or below this address
   * @returns the guest-physical address
   * @throws DriverError `no-memory`
   */
  allocate(length: number, align: number, limit?: number): number;
  /** Frees a block. @throws DriverError `invalid` for an address that was not allocated */
  free(address: number): void;
}

/** One address space of registers that the processor accesses: I/O ports, or memory-mapped I/O. */
export interface RegisterAccess {
  /** Reads 1, 2 or 4 bytes, little endian, unsigned. */
  read(address: number, width: AccessWidth): number;
  /** Writes 1, 2 or 4 bytes, little endian. */
  write(address: number, width: AccessWidth, value: number): void;
}

/** An interrupt message for a device to send. */
export interface HostMessage {
  /** The address that the device writes to, below 2^53. */
  readonly address: number;
  /** The 32 bits that it writes. */
  readonly data: number;
  /** Releases the message. */
  release(): void;
}

/** Interrupts for drivers. Handlers never throw. */
export interface HostInterrupts {
  /**
   * Calls `handler` while line `line` is asserted: until the handler has made its device lower it.
   * @returns disconnects the handler
   */
  connectLine(line: number, handler: () => void): () => void;
  /** A message that calls `handler`; `null` if none is left. */
  allocateMessage(handler: () => void): HostMessage | null;
}

/** Time for bounded waits. */
export interface HostClock {
  /** Milliseconds since an arbitrary moment. */
  now(): number;
  /** Waits at least `ms` milliseconds, and lets devices and interrupts run; 0: one turn. */
  sleep(ms: number): Promise<void>;
}

/** The machine a driver runs on. */
export interface DriverHost {
  /** Memory that driver and devices share. */
  readonly memory: GuestMemory;
  /** Allocates blocks of that memory. */
  readonly dma: DmaAllocator;
  readonly interrupts: HostInterrupts;
  readonly clock: HostClock;
}
