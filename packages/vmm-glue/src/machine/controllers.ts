/**
 * Interrupt controllers of a machine without a processor: they record interrupts, for tests and benchmarks.
 * @module
 */

import type { MsiSink } from "@virtio-ts/vm-device";
import type { InterruptController } from "../interrupt-router.ts";

/** Records the level of each line, and how often it went up. */
export class LineLog implements InterruptController {
  /** Level of each line. */
  readonly levels: boolean[] = [];
  /** How often each line went up. */
  readonly edges: number[] = [];
  /** Called on each change. */
  onChange: ((line: number, level: boolean) => void) | null = null;

  setLevel(line: number, level: boolean): void {
    this.levels[line] = level;
    if (level) this.edges[line] = (this.edges[line] ?? 0) + 1;
    this.onChange?.(line, level);
  }

  /** Whether a line is up. */
  isUp(line: number): boolean {
    return this.levels[line] === true;
  }

  /** How often a line went up. */
  risen(line: number): number {
    return this.edges[line] ?? 0;
  }
}

/** Records the last message, and how often each came. */
export class MessageLog implements MsiSink {
  /** Total messages. */
  total = 0;
  /** Address of the last one. */
  lastAddress = 0;
  /** Data of the last one. */
  lastData = 0;
  /** Called with each message. */
  onMessage: ((address: number, data: number) => void) | null = null;
  readonly #counts = new Map<number, number>();

  send(address: number, data: number): void {
    this.total++;
    this.lastAddress = address;
    this.lastData = data;
    this.#counts.set(data, (this.#counts.get(data) ?? 0) + 1);
    this.onMessage?.(address, data);
  }

  /** How often a message with this data came. */
  count(data: number): number {
    return this.#counts.get(data) ?? 0;
  }
}
