/**
 * The driver's model for a packed ring: VIRTIO 1.4, 2.8.
 * @module
 */

import type { DriverQueueFaultCode } from "@virtio-ts/virtio-queue";
import { type Walk, WRITE, walkPacked } from "./chains.ts";
import { type Buffer, DriverModel, type UsedElement } from "./driver-model.ts";
import type { QueueSetup } from "./naive-device.ts";
import { AVAIL, DESC, DISABLE, ENABLE, type Place, USED } from "./naive-packed-device.ts";
import type { Leeway, PlainMemory } from "./plain-memory.ts";

export class PackedDriverModel extends DriverModel {
  private readonly next: Place;
  private readonly nextUsed: Place;
  private asked: number;

  constructor(memory: PlainMemory, queue: QueueSetup, legacy: boolean, start: Place) {
    super(memory, queue, legacy);
    this.next = start.copy();
    this.nextUsed = start.copy();
    this.asked = start.value;
  }

  leeway(): Leeway[] {
    const { descriptorArea, driverArea, size } = this.queue;
    return [
      { address: descriptorArea, length: 16 * size },
      { address: driverArea, length: 4 },
    ];
  }

  askedWrong(): string | null {
    const [event, flags] = [0, 2].map((at) => this.memory.found(this.queue.driverArea + at, 2));
    if (!this.asks) return flags === DISABLE ? null : `event flags are ${flags}, though no notification is wanted`;
    if (flags === ENABLE || (this.queue.eventIdx && flags === DESC && event === this.asked)) return null;
    return `event flags are ${flags}, of ${event}: it is ${this.asked} that comes next`;
  }

  published(after: readonly Buffer[]): Walk | null {
    const { memory, queue } = this;
    const place = this.next.copy().move(after.reduce((sum, { entries }) => sum + entries, 0));
    const flags = memory.u16(queue.descriptorArea + 16 * place.entry + 14) & (AVAIL | USED);
    if (flags !== (place.wrap === 1 ? AVAIL : USED)) return null;
    return walkPacked(memory, queue, place.entry, queue.size);
  }

  again({ start }: Buffer): Walk {
    return walkPacked(this.memory, this.queue, start, this.queue.size);
  }

  protected tell(buffers: readonly Buffer[]): boolean {
    const { queue } = this;
    const before = this.next.copy();
    for (const buffer of buffers) {
      buffer.start = this.next.entry;
      this.next.move(buffer.entries);
    }
    const flags = this.deviceFlags();
    if (flags !== DESC || !queue.eventIdx) return flags !== DISABLE;
    for (; before.value !== this.next.value; before.move(1)) if (before.value === this.deviceEvent()) return true;
    return false;
  }

  waitsInVain(): boolean {
    if (this.deviceFlags() !== DESC || !this.queue.eventIdx || this.buffers.length === 0) return false;
    const place = this.nextUsed.copy();
    for (let i = 1; i < this.queue.size; i++) if (place.move(-1).value === this.deviceEvent()) return true;
    return false;
  }

  private deviceEvent(): number {
    return this.memory.u16(this.queue.deviceArea);
  }

  private deviceFlags(): number {
    return this.memory.u16(this.queue.deviceArea + 2) & 3;
  }

  private get at(): number {
    return this.queue.descriptorArea + 16 * this.nextUsed.entry;
  }

  protected isUsed(): boolean {
    const flags = this.memory.u16(this.at + 14) & (AVAIL | USED);
    return flags === (this.nextUsed.wrap === 1 ? AVAIL | USED : 0);
  }

  protected ready(): number | DriverQueueFaultCode {
    return this.told.length === 0 ? "id-not-outstanding" : this.told.length;
  }

  protected read(): UsedElement {
    const { memory, at } = this;
    // 2.8.4: without WRITE the length is reserved; but QEMU never sets WRITE, and means it.
    return {
      id: memory.u16(at + 12),
      length: memory.u32(at + 8),
      meant: (memory.u16(at + 14) & WRITE) !== 0,
    };
  }

  protected moveUsed(buffer: Buffer): void {
    this.nextUsed.move(buffer.entries);
  }

  protected ask(): void {
    this.asked = this.nextUsed.value;
  }
}
