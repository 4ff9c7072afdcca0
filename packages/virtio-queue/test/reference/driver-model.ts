/**
 * A driver that keeps its half of a queue in a plain list, and reads what the device wrote byte by byte: VIRTIO 1.4, 2.6
 * to 2.8. It does not write rings: how the code lays out its buffers is seen by reading the ring as a device does.
 * @module
 */

import { type DriverQueueFaultCode, QUEUE_MALFORMED } from "@virtio-ts/virtio-queue";
import type { Element, Walk } from "./chains.ts";
import type { QueueSetup } from "./naive-device.ts";
import type { Leeway, PlainMemory } from "./plain-memory.ts";

/** A buffer that was added and not taken back. */
export interface Buffer {
  readonly head: number;
  readonly elements: readonly Element[];
  /** Descriptors of the ring that it takes. */
  readonly entries: number;
  /** Bytes of its device-writable part. */
  readonly writable: number;
  /** The device was told of it: where its list starts in a packed ring. */
  told: boolean;
  start: number;
}

/** A used buffer as the driver hands it on. */
export interface Taken {
  readonly head: number;
  readonly length: number;
}

/** A used element, read. */
export interface UsedElement {
  readonly id: number;
  readonly length: number;
  /** Whether the length counts though it is more than the buffer has. */
  readonly meant: boolean;
}

export abstract class DriverModel {
  readonly memory: PlainMemory;
  readonly queue: QueueSetup;
  readonly legacy: boolean;
  readonly counters = { available: 0, used: 0, notified: 0, suppressed: 0, malformed: 0 };
  faults: readonly DriverQueueFaultCode[] | null = null;
  /** In the order in which they were added. */
  buffers: Buffer[] = [];
  asks = true;
  /** In order: buffers left of the batch that was begun, and the last one's length. */
  private batch = { left: 0, length: 0 };

  constructor(memory: PlainMemory, queue: QueueSetup, legacy: boolean) {
    this.memory = memory;
    this.queue = queue;
    this.legacy = legacy;
  }

  get told(): Buffer[] {
    return this.buffers.filter(({ told }) => told);
  }

  get free(): number {
    return this.queue.size - this.buffers.reduce((sum, { entries }) => sum + entries, 0);
  }

  /** What the code is free to write. */
  abstract leeway(): Leeway[];
  /** What is wrong with what the code asks of the device, or `null`. */
  abstract askedWrong(): string | null;
  /** The chain that the device finds `after` others that were not there when the driver was last told of buffers. */
  abstract published(after: readonly Buffer[]): Walk | null;
  /** Reads a buffer's chain once more. */
  abstract again(buffer: Buffer): Walk;
  /** Counts buffers as told, and says whether the device wants to hear of their `entries`. */
  protected abstract tell(buffers: readonly Buffer[]): boolean;
  /** See `PackedDriverQueue.waitsInVain`: what the standard does not ask for. */
  abstract waitsInVain(): boolean;
  /** Whether a used element is there. */
  protected abstract isUsed(): boolean;
  /** Used elements that there may be at most, or what is wrong with their number. */
  protected abstract ready(): number | DriverQueueFaultCode;
  protected abstract read(): UsedElement;
  protected abstract moveUsed(buffer: Buffer): void;
  /** The device is to notify of the next entry. */
  protected abstract ask(): void;

  publish(): boolean {
    if (this.faults !== null) return false;
    const added = this.buffers.filter(({ told }) => !told);
    if (added.length === 0) return this.waitsInVain();
    this.counters.available += added.length;
    for (const buffer of added) buffer.told = true;
    const wanted = this.tell(added) || this.waitsInVain();
    if (wanted) this.counters.notified++;
    else this.counters.suppressed++;
    return wanted;
  }

  hasUsed(): boolean {
    return this.faults === null && (this.batch.left > 0 || this.isUsed());
  }

  take(max: number): Taken[] | 0 | typeof QUEUE_MALFORMED {
    if (this.faults !== null) return QUEUE_MALFORMED;
    if (!this.hasUsed()) return 0;
    const ready = this.ready();
    if (typeof ready === "string") return this.fail([ready]);
    const taken: Taken[] = [];
    while (taken.length < Math.min(max, ready) && this.hasUsed()) {
      const next = this.queue.inOrder ? this.nextOfBatch(ready - taken.length) : this.nextEach();
      if (Array.isArray(next)) {
        // Buffers before an element that is not acceptable are delivered first.
        if (taken.length > 0) break;
        return this.fail(next);
      }
      taken.push(next);
    }
    this.counters.used += taken.length;
    if (taken.length > 0 && this.asks) this.ask();
    return taken.length === 0 ? 0 : taken;
  }

  disable(): void {
    if (this.faults === null) this.asks = false;
  }

  enable(): boolean {
    if (this.faults !== null) return false;
    this.asks = true;
    this.ask();
    return this.hasUsed();
  }

  /** What a used element says of which buffer, or the rules it breaks. */
  private judge({ id, length, meant }: UsedElement): { buffer: Buffer; length: number } | DriverQueueFaultCode[] {
    if (id >= this.queue.size) return ["id-out-of-range"];
    const buffer = this.told.find(({ head }) => head === id);
    if (buffer === undefined) return ["id-not-outstanding"];
    if (length <= buffer.writable) return { buffer, length };
    if (!meant) return { buffer, length: 0 };
    // 2.7.8.1: legacy devices set the length at will.
    return this.legacy ? { buffer, length: buffer.writable } : ["length-too-large"];
  }

  private nextEach(): Taken | DriverQueueFaultCode[] {
    const judged = this.judge(this.read());
    if (Array.isArray(judged)) return judged;
    this.remove(judged.buffer);
    return { head: judged.buffer.head, length: judged.length };
  }

  /** 2.7.9, 2.8.9: an element stands for all buffers up to the one it names, those before it written completely. */
  private nextOfBatch(ready: number): Taken | DriverQueueFaultCode[] {
    if (this.batch.left === 0) {
      const judged = this.judge(this.read());
      if (Array.isArray(judged)) return judged;
      const left = this.buffers.indexOf(judged.buffer) + 1;
      if (left > ready) return ["id-not-outstanding"];
      this.batch = { left, length: judged.length };
    }
    const [buffer] = this.buffers;
    this.batch.left--;
    this.remove(buffer);
    return { head: buffer.head, length: this.batch.left === 0 ? this.batch.length : buffer.writable };
  }

  private remove(buffer: Buffer): void {
    this.buffers.splice(this.buffers.indexOf(buffer), 1);
    this.moveUsed(buffer);
  }

  private fail(faults: readonly DriverQueueFaultCode[]): typeof QUEUE_MALFORMED {
    this.faults = faults;
    this.counters.malformed++;
    return QUEUE_MALFORMED;
  }
}
