/**
 * The machine for drivers in a plain process: a page, a test, a link to an emulator. Put together from parts that are
 * of use alone: {@link DmaPool}, {@link MessageTable}, {@link LineTable}.
 * @module
 */

import type { GuestMemory } from "@virtio-ts/vm-memory";
import { DriverError } from "../errors.ts";
import type { DriverHost, HostClock, HostInterrupts } from "../host.ts";
import { DmaPool } from "./dma-pool.ts";
import { LineTable } from "./line-table.ts";
import { MessageTable } from "./message-table.ts";

/** What of the host's event loop is used; none of it is part of the language. */
interface EventLoop {
  setTimeout(task: () => void, ms: number): unknown;
  readonly performance: { now(): number };
}

/** The time of the process. */
export const processClock: HostClock = {
  now: () => (globalThis as unknown as EventLoop).performance.now(),
  sleep: (ms) => new Promise((resolve) => void (globalThis as unknown as EventLoop).setTimeout(resolve, ms)),
};

/** What a {@link ProcessHost} is made with. */
export interface ProcessHostOptions {
  /** Which part of memory blocks are taken from: first address, and the one past the last. All by default. */
  readonly dmaWindow?: readonly [start: number, end: number];
  /** Messages there are; 0 for a machine that has lines alone. 2048 by default. */
  readonly messages?: number;
  /** {@link processClock} by default. */
  readonly clock?: HostClock;
}

/** A process as drivers' machine. Whoever has the devices sets {@link lines} and sends to {@link messages}. */
export class ProcessHost implements DriverHost {
  readonly memory: GuestMemory;
  readonly dma: DmaPool;
  /** Where devices' lines end. */
  readonly lines: LineTable = new LineTable();
  /** Where devices' messages end. */
  readonly messages: MessageTable;
  readonly interrupts: HostInterrupts;
  readonly clock: HostClock;

  /**
   * @param memory what devices reach; without a window, one region, of which the first page is left alone, for
   * address 0 means "nowhere" to more than one transport
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
