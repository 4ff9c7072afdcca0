/**
 * A QEMU machine as the machine our drivers run on: its memory is mapped here, its interrupt lines end here, and
 * messages are words of memory that devices write and we look at.
 * @module
 */

import { setTimeout as delay } from "node:timers/promises";
import {
  DmaPool,
  type DriverHost,
  type HostClock,
  type HostInterrupts,
  type HostMessage,
  LineTable,
} from "@virtio-ts/virtio-driver";
import { GuestMemory, MemoryRegion } from "@virtio-ts/vm-memory";
import type { QtestLink } from "./qtest.ts";

/** Low memory is left alone: on a PC, what firmware and video memory overlay is no memory. */
const FIRST_BLOCK = 16 << 20;
/** What a device writes to say that its message has come. */
const ARRIVED = 1;

/** The host for drivers of QEMU's devices. Interrupts are delivered between commands, and while drivers sleep. */
export class QemuHost implements DriverHost {
  readonly memory: GuestMemory;
  readonly dma: DmaPool;
  readonly interrupts: HostInterrupts;
  readonly clock: HostClock;
  /** Interrupts delivered: lines that rose, and messages. */
  readonly counters: { lines: number; messages: number } = { lines: 0, messages: 0 };
  readonly #link: QtestLink;
  readonly #lines = new LineTable();
  readonly #messages = new Map<number, () => void>();

  /** @param memory the machine's memory, which starts at `start` */
  constructor(link: QtestLink, memory: Uint8Array, start: number) {
    this.memory = new GuestMemory([new MemoryRegion(start, memory)]);
    this.dma = new DmaPool(this.memory, start + FIRST_BLOCK, start + memory.length);
    this.#link = link;
    link.onLine = (line, up) => {
      if (up) this.counters.lines++;
      this.#lines.setLevel(line, up);
    };
    this.interrupts = {
      connectLine: (line, handler) => this.#lines.connect(line, handler),
      allocateMessage: (handler) => this.#allocateMessage(handler),
    };
    this.clock = {
      now: () => performance.now(),
      sleep: async (ms) => {
        await delay(ms);
        this.poll();
      },
    };
  }

  /** Delivers what interrupts have come. */
  poll(): void {
    this.#link.poll();
    const { u32, start } = this.memory.regions[0];
    for (const [address, handler] of this.#messages) {
      if (Atomics.exchange(u32, (address - start) / 4, 0) !== ARRIVED) continue;
      this.counters.messages++;
      handler();
    }
  }

  /** Delivers nothing any more. */
  close(): void {
    this.#link.onLine = () => {};
    this.#messages.clear();
  }

  #allocateMessage(handler: () => void): HostMessage {
    const address = this.dma.allocate(4, 4);
    this.#messages.set(address, handler);
    const release = (): void => {
      if (this.#messages.delete(address)) this.dma.free(address);
    };
    return { address, data: ARRIVED, release };
  }
}
