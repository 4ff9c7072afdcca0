/**
 * The driver's model for a split ring: VIRTIO 1.4, 2.7.
 * @module
 */

import type { DriverQueueFaultCode } from "@virtio-ts/virtio-queue";
import { type Walk, walkSplit } from "./chains.ts";
import { type Buffer, DriverModel, type UsedElement } from "./driver-model.ts";
import type { QueueSetup } from "./naive-device.ts";
import type { Leeway, PlainMemory } from "./plain-memory.ts";

export class SplitDriverModel extends DriverModel {
  private nextAvail: number;
  private nextUsed: number;
  private asked: number;

  constructor(memory: PlainMemory, queue: QueueSetup, legacy: boolean, start: number) {
    super(memory, queue, legacy);
    this.nextAvail = start;
    this.nextUsed = start;
    this.asked = start;
  }

  leeway(): Leeway[] {
    const { descriptorArea, driverArea, size } = this.queue;
    return [
      { address: descriptorArea, length: 16 * size },
      { address: driverArea, length: 6 + 2 * size },
    ];
  }

  askedWrong(): string | null {
    const { driverArea, deviceArea, size, eventIdx } = this.queue;
    const flags = this.memory.found(driverArea, 2);
    const silent = !this.asks && !eventIdx ? 1 : 0;
    if (flags !== silent) return `flags are ${flags}, not ${silent}`;
    if (!eventIdx) return null;
    const event = this.memory.found(driverArea + 4 + 2 * size, 2);
    if (this.asks) return event === this.asked ? null : `used_event is ${event}, not ${this.asked}`;
    const soon = (event - this.memory.u16(deviceArea + 2)) & 0xffff;
    return soon >= size || typeof this.ready() === "string"
      ? null
      : `used_event is ${event}, though no notification is wanted`;
  }

  published(after: readonly Buffer[]): Walk | null {
    const { queue, memory } = this;
    const at = (this.nextAvail + after.length) & 0xffff;
    if (at === memory.u16(queue.driverArea + 2)) return null;
    return walkSplit(memory, queue, memory.u16(queue.driverArea + 4 + 2 * (at % queue.size)));
  }

  again({ head }: Buffer): Walk {
    return walkSplit(this.memory, this.queue, head);
  }

  protected tell(buffers: readonly Buffer[]): boolean {
    const { memory, queue } = this;
    this.nextAvail = (this.nextAvail + buffers.length) & 0xffff;
    if (!queue.eventIdx) return (memory.u16(queue.deviceArea) & 1) === 0;
    // 2.7.10.2: of the entries just written, the one with index avail_event.
    const availEvent = memory.u16(queue.deviceArea + 4 + 8 * queue.size);
    return buffers.some((_, i) => availEvent === ((this.nextAvail - i - 1) & 0xffff));
  }

  waitsInVain(): boolean {
    return false;
  }

  private usedIndex(): number {
    return this.memory.u16(this.queue.deviceArea + 2);
  }

  protected isUsed(): boolean {
    return this.usedIndex() !== this.nextUsed;
  }

  protected ready(): number | DriverQueueFaultCode {
    const ready = (this.usedIndex() - this.nextUsed) & 0xffff;
    return ready > this.told.length ? "used-index" : ready;
  }

  protected read(): UsedElement {
    const at = this.queue.deviceArea + 4 + 8 * (this.nextUsed % this.queue.size);
    return { id: this.memory.u32(at), length: this.memory.u32(at + 4), meant: true };
  }

  protected moveUsed(): void {
    this.nextUsed = (this.nextUsed + 1) & 0xffff;
  }

  protected ask(): void {
    this.asked = this.nextUsed;
  }
}
