/**
 * The other side of the driver's half: a device that uses buffers byte by byte, in any order or in order, honestly or
 * not. VIRTIO 1.4, 2.7.8, 2.7.9, 2.8.4 and 2.8.9. Which buffers it has it is told.
 * @module
 */

import { WRITE } from "./chains.ts";
import type { Buffer } from "./driver-model.ts";
import type { QueueSetup } from "./naive-device.ts";
import { AVAIL, type Place, USED } from "./naive-packed-device.ts";
import type { PlainMemory } from "./plain-memory.ts";
import type { Random } from "./random.ts";

/** A used element as it is written; in order it stands for a batch. */
interface Used {
  readonly id: number;
  readonly length: number;
  readonly write: boolean;
  readonly buffers: readonly Buffer[];
}

export abstract class User {
  protected readonly memory: PlainMemory;
  protected readonly queue: QueueSetup;
  /** What it has of the driver's, in the order it was offered. */
  protected held: Buffer[] = [];
  /** Buffers whose descriptors need not be there any more. */
  protected readonly overwritten = new Set<Buffer>();
  /** It has written where it must not. */
  misbehaved = false;

  constructor(memory: PlainMemory, queue: QueueSetup) {
    this.memory = memory;
    this.queue = queue;
  }

  protected abstract put(used: Used): void;
  protected abstract show(): void;
  abstract setEvent(random: Random): void;
  /** Something that no device does. @returns it, in words */
  protected abstract misbehave(random: Random): string;

  hold(buffers: readonly Buffer[]): void {
    this.held.push(...buffers);
  }

  /** Whether the chain of a buffer is as the driver left it. */
  keeps(buffer: Buffer): boolean {
    return this.held.includes(buffer) && !this.overwritten.has(buffer);
  }

  /** Uses up to `count` buffers, and has the driver see it. @returns what it did, in words */
  use(random: Random, count: number, hostile: boolean): string {
    const said: string[] = [];
    for (let i = 0; i < count && this.held.length > 0; i++) {
      const used = this.choose(random);
      this.held = this.held.filter((buffer) => !used.buffers.includes(buffer));
      const spoilt = hostile && random.chance(30) ? this.spoil(random, used) : used;
      this.put(spoilt);
      said.push(`${spoilt.id} with ${spoilt.length}`);
    }
    this.show();
    if (hostile && random.chance(50)) {
      this.misbehaved = true;
      said.push(this.misbehave(random));
    }
    return `the device uses ${said.join(", ")}`;
  }

  private choose(random: Random): Used {
    const at = random.pick([0, this.held.length - 1, random.below(this.held.length)]);
    const buffers = this.queue.inOrder ? this.held.slice(0, at + 1) : [this.held[at]];
    const { head, writable } = this.held[at];
    const most = Math.min(writable, 0xffff_ffff);
    const length = random.pick([0, 1, most, most, random.between(0, most)]);
    return { id: head, length: Math.min(length, most), write: length > 0 && !random.chance(10), buffers };
  }

  private spoil(random: Random, used: Used): Used {
    const { size } = this.queue;
    const [{ writable }] = used.buffers;
    return random.pick([
      { ...used, id: random.pick([size, size + 1, 0xffff, random.below(size), random.below(size)]) },
      { ...used, length: random.pick([writable + 1, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff]) % 2 ** 32, write: true },
      { ...used, length: random.pick([writable + 1, 0xffff_ffff]) % 2 ** 32, write: false },
    ]);
  }
}

export class SplitUser extends User {
  private nextUsed: number;

  constructor(memory: PlainMemory, queue: QueueSetup, start: number) {
    super(memory, queue);
    this.nextUsed = start;
    if (start === 0) return;
    // As after `start` buffers: each side asked for the next one.
    memory.put(queue.driverArea + 2, 2, start);
    memory.put(queue.deviceArea + 2, 2, start);
    if (queue.eventIdx) memory.put(queue.driverArea + 4 + 2 * queue.size, 2, start);
    if (queue.eventIdx) memory.put(queue.deviceArea + 4 + 8 * queue.size, 2, start);
  }

  protected put({ id, length, buffers }: Used): void {
    const at = this.queue.deviceArea + 4 + 8 * (this.nextUsed % this.queue.size);
    this.memory.put(at, 4, id);
    this.memory.put(at + 4, 4, length);
    this.nextUsed = (this.nextUsed + buffers.length) & 0xffff;
  }

  protected show(): void {
    this.memory.put(this.queue.deviceArea + 2, 2, this.nextUsed);
  }

  setEvent(random: Random): void {
    const { deviceArea, driverArea, size } = this.queue;
    this.memory.put(deviceArea, 2, random.pick([0, 1, 2, 3, 0xffff]));
    this.memory.put(deviceArea + 4 + 8 * size, 2, this.memory.u16(driverArea + 2) + random.between(-2, 3));
  }

  protected misbehave(random: Random): string {
    const { descriptorArea, deviceArea, size } = this.queue;
    if (random.chance(50)) {
      const index = (this.nextUsed + random.pick([1, size, size + 1, 0x8000, 0xffff])) & 0xffff;
      this.memory.put(deviceArea + 2, 2, index);
      return `and says that it has used up to ${index}`;
    }
    for (let i = 0; i < 16 * size; i++) this.memory.put(descriptorArea + i, 1, random.below(256));
    return "and writes all over the descriptor table";
  }
}

export class PackedUser extends User {
  private readonly next: Place;
  private heads: { at: number; flags: number }[] = [];

  constructor(memory: PlainMemory, queue: QueueSetup, start: Place) {
    super(memory, queue);
    this.next = start.copy();
    if (start.value === 0x8000) return;
    for (let i = 0; i < queue.size; i++) {
      const wrap = i < start.entry ? start.wrap : 1 - start.wrap;
      memory.put(queue.descriptorArea + 16 * i + 14, 2, wrap === 1 ? AVAIL | USED : 0);
    }
  }

  protected put({ id, length, write, buffers }: Used): void {
    const at = this.queue.descriptorArea + 16 * this.next.entry;
    this.memory.put(at + 8, 4, length);
    this.memory.put(at + 12, 2, id);
    const flags = (this.next.wrap === 1 ? AVAIL | USED : 0) | (write ? WRITE : 0);
    this.heads.push({ at, flags });
    // It has read all that it has: their entries are free for what is used, and then for what is added.
    for (const buffer of this.held) this.overwritten.add(buffer);
    this.next.move(buffers.reduce((sum, { entries }) => sum + entries, 0));
  }

  protected show(): void {
    for (const { at, flags } of this.heads.reverse()) this.memory.put(at + 14, 2, flags);
    this.heads = [];
  }

  setEvent(random: Random): void {
    const { deviceArea, size } = this.queue;
    this.memory.put(deviceArea, 2, random.below(size + 1) | (random.below(2) << 15));
    this.memory.put(deviceArea + 2, 2, random.pick([0, 1, 2, 2, 2, 3, 0xfffe]));
  }

  protected misbehave(random: Random): string {
    const { descriptorArea, size } = this.queue;
    const at = descriptorArea + 16 * random.below(size);
    if (random.chance(50)) {
      this.memory.put(at + 14, 2, random.pick([AVAIL | USED, 0, USED, AVAIL]));
      return `and turns flags of the entry at ${at}`;
    }
    for (let i = 0; i < 16; i++) this.memory.put(at + i, 1, random.below(256));
    return `and writes all over the entry at ${at}`;
  }
}
