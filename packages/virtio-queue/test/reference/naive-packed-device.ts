/**
 * The naive device of a packed ring: VIRTIO 1.4, 2.8.
 * @module
 */

import type { QueueFaultCode } from "@virtio-ts/virtio-queue";
import { packedDescriptor, type Walk, WRITE, walkPacked } from "./chains.ts";
import { type Chain, NaiveDevice, type QueueSetup, type UsedElement } from "./naive-device.ts";
import type { Leeway, PlainMemory } from "./plain-memory.ts";

export const AVAIL: number = 1 << 7;
export const USED: number = 1 << 15;
export const ENABLE = 0;
export const DISABLE = 1;
export const DESC = 2;

/** A ring entry, in one of two laps. */
export class Place {
  readonly size: number;
  entry: number;
  wrap: number;

  constructor(size: number, entry: number, wrap: number) {
    this.size = size;
    this.entry = entry;
    this.wrap = wrap;
  }

  /** Moves on, or back, one entry after the other. */
  move(entries: number): this {
    for (let i = 0; i < Math.abs(entries); i++) {
      this.entry += Math.sign(entries);
      if (this.entry === this.size) this.entry = 0;
      else if (this.entry === -1) this.entry = this.size - 1;
      else continue;
      this.wrap = 1 - this.wrap;
    }
    return this;
  }

  copy(): Place {
    return new Place(this.size, this.entry, this.wrap);
  }

  /** As an event structure names it. */
  get value(): number {
    return this.entry | (this.wrap << 15);
  }
}

export class NaivePackedDevice extends NaiveDevice {
  private readonly next: Place;
  private readonly nextUsed: Place;
  private asked: number;

  constructor(memory: PlainMemory, queue: QueueSetup, start: Place) {
    super(memory, queue);
    this.next = start.copy();
    this.nextUsed = start.copy();
    this.asked = start.value;
  }

  available(): boolean {
    if (this.faults !== null) return false;
    const flags = this.memory.u16(this.queue.descriptorArea + 16 * this.next.entry + 14);
    const [avail, used] = [(flags & AVAIL) !== 0, (flags & USED) !== 0];
    return avail === (this.next.wrap === 1) && used !== (this.next.wrap === 1);
  }

  protected ringFault(): QueueFaultCode | null {
    return this.available() && this.entries === this.queue.size ? "ring-overrun" : null;
  }

  protected look(): Walk | null {
    const { queue } = this;
    const room = queue.size - this.entries;
    if (room === 0 || !this.available()) return null;
    const walk = walkPacked(this.memory, queue, this.next.entry, room);
    if (!walk.sound) return walk;
    if (walk.id >= queue.size) return { sound: false, faults: ["id-out-of-range"] };
    if (this.unpublished.some(({ head }) => head === walk.id)) return { sound: false, faults: ["head-outstanding"] };
    return walk;
  }

  /** 2.8.4: used elements go where lists were, whoever holds them; so it says what it said when it was taken. */
  protected lookAgain({ list, entries }: Chain): Walk {
    return walkPacked(this.memory, this.queue, 0, entries, (index) => list[index]);
  }

  noteChanges(): void {
    const { size, descriptorArea } = this.queue;
    const staged = this.staged.reduce((sum, { entries }) => sum + entries, 0);
    const passed = this.taken - this.entries + staged;
    for (const chain of this.held) {
      const first = this.next.copy().move(chain.start - this.taken).entry;
      chain.list.forEach((descriptor, i) => {
        if (chain.start + i < passed) return;
        const now = packedDescriptor(this.memory, descriptorArea + 16 * ((first + i) % size));
        if (Object.entries(now).some(([field, value]) => value !== descriptor[field as keyof typeof now]))
          chain.changed = true;
      });
    }
  }

  protected move(entries: number): void {
    this.next.move(entries);
  }

  /** 2.8.4: a used descriptor's address is unused; its length is reserved where nothing was written. */
  protected put({ head, written, entries }: UsedElement): void {
    const { memory, nextUsed } = this;
    const at = this.queue.descriptorArea + 16 * nextUsed.entry;
    const flags = (nextUsed.wrap === 1 ? AVAIL | USED : 0) | (written > 0 ? WRITE : 0);
    memory.expect(at + 8, 4, written);
    memory.expect(at + 12, 2, head);
    memory.expect(at + 14, 2, flags);
    nextUsed.move(entries);
  }

  protected show(): void {}

  protected driverWants(entries: number): boolean {
    const { memory, queue } = this;
    const flags = memory.u16(queue.driverArea + 2) & 3;
    if (flags !== DESC || !queue.eventIdx) return flags !== DISABLE;
    const wanted = memory.u16(queue.driverArea);
    const place = this.nextUsed.copy();
    for (let i = 0; i < entries; i++) if (place.move(-1).value === wanted) return true;
    return false;
  }

  protected ask(): void {
    this.asked = this.next.value;
  }

  protected askNot(): void {}

  /** Of what is staged, the driver must not see flags: those of the first tell it of all. */
  leeway(): Leeway[] {
    const { queue } = this;
    const place = this.nextUsed.copy();
    const used = this.staged.map(({ entries }, i) => {
      const address = queue.descriptorArea + 16 * place.entry + 8;
      place.move(entries);
      return { address, length: i === 0 ? 6 : 8 };
    });
    return [...used, { address: queue.deviceArea, length: 4 }];
  }

  askedWrong(): string | null {
    const [event, flags] = [0, 2].map((at) => this.memory.found(this.queue.deviceArea + at, 2));
    if (!this.asks) return flags === DISABLE ? null : `event flags are ${flags}, though no notification is wanted`;
    if (flags === ENABLE || (this.queue.eventIdx && flags === DESC && event === this.asked)) return null;
    return `event flags are ${flags}, of ${event}: it is ${this.asked} that comes next`;
  }
}
