/**
 * A plain process as the machine for drivers: a page, a test, a link to an emulator. Its parts also work alone: {@link
 * DmaPool}, {@link MessageTable}, {@link LineTable}.
 * @module
 */

import type { GuestMemory } from "@virtio-ts/vm-memory";
import { DriverError } from "../errors.ts";
import type { DriverHost, HostClock, HostInterrupts } from "../host.ts";
import { DmaPool } from "./dma-pool.ts";
import { LineTable } from "./line-table.ts";
import { MessageTable } from "./message-table.ts";

/** The parts of the host's event loop in use; none of them belongs to the language. */
interface EventLoop {
  setTimeout(task: () => void, ms: number): unknown;
  readonly performance: { now(): number };
}

/** The process's clock. */
export const processClock: HostClock = {
  now: () => (globalThis as unknown as EventLoop).performance.now(),
  sleep: (ms) => new Promise((resolve) => void (globalThis as unknown as EventLoop).setTimeout(resolve, ms)),
};

/** Options of a {@link ProcessHost}. */
export interface ProcessHostOptions {
  /** The part of memory to allocate from: first address, and the one past the last. All by default. */
  readonly dmaWindow?: readonly [start: number, end: number];
  /** Number of messages; 0 for a machine with lines only. 2048 by default. */
  readonly messages?: number;
  /** {@link processClock} by default. */
  readonly clock?: HostClock;
}

/** A process as the machine for drivers. The owner of the devices sets {@link lines} and sends to {@link messages}. */
export class ProcessHost implements DriverHost {
  readonly memory: GuestMemory;
  readonly dma: DmaPool;
  /** The devices' lines end here. */
  readonly lines: LineTable = new LineTable();
  /** The devices' messages end here. */
  readonly messages: MessageTable;
  readonly interrupts: HostInterrupts;
  readonly clock: HostClock;

  /**
   * @param memory the memory that devices reach. Without a window, its first region; the first page stays unused,
   * because several transports take address 0 as "nowhere"
   * @throws DriverError `invalid` for a window that is not inside one region
   */
  constructor(memory: GuestMemory, options: ProcessHostOptions = {}) {
    const [start, end] = options.dmaWindow ?? [Math.max(memory.regions[0]?.start ?? 0, 0x1000), memory.regions[0]?.end];
    if (memory.locate(start, end - start) < 0) {
      throw new DriverError("invalid", `a window from ${start} to ${end} is not inside one region of memory`);
    }
    this.memory = memory;
    this.dma = new DmaPool(memory, start, end);
    this.messages = new MessageTable(options.messages);
    this.interrupts = {
      connectLine: (line, handler) => this.lines.connect(line, handler),
      allocateMessage: (handler) => this.messages.allocate(handler),
    };
    this.clock = options.clock ?? processClock;
  }
}
