/**
 * Drivers that write rings descriptor by descriptor, with no check of their own: VIRTIO 1.4, 2.7 and 2.8. What they write
 * goes into both copies of memory.
 * @module
 */

import { INDIRECT, NEXT, WRITE } from "./chains.ts";
import { AVAIL, type Place, USED } from "./naive-packed-device.ts";
import type { PlainMemory } from "./plain-memory.ts";
import type { Random } from "./random.ts";
import { elements, plainElement, type RawElement, type Setup } from "./setup.ts";

/** A descriptor as it is written; the last 32 bits differ with the format. */
interface Raw {
  readonly address: bigint;
  readonly length: number;
  readonly flags: number;
}

/** A chain as a driver writes it: direct descriptors, then perhaps one of a table. */
interface Shape {
  readonly direct: readonly RawElement[];
  readonly table: readonly RawElement[] | null;
}

export abstract class NaiveDriver {
  protected readonly memory: PlainMemory;
  protected readonly setup: Setup;
  /** Where the descriptors of the last chain are, those of its table too. */
  written: number[] = [];

  constructor(stage: Setup) {
    this.setup = stage;
    this.memory = stage.memory;
  }

  /** Descriptors, or ring entries, that are free. */
  abstract get room(): number;
  /** Writes a chain, which the device does not see yet. */
  protected abstract write(shape: Shape, tableAt: number): void;
  /** Has the device see all that was written. */
  abstract publish(): void;
  /** The device has used these. */
  abstract reclaim(heads: readonly number[]): void;
  /** Writes over something of the ring that the device reads. */
  abstract disturb(random: Random): void;
  /** Says which notifications it wants. */
  abstract setEvent(random: Random): void;

  /** Writes chains of one element each, all of one direction, as long as there is room. @returns how many */
  offerPlain(random: Random, most: number): number {
    const writable = random.chance(50);
    const count = Math.min(most, this.room);
    for (let i = 0; i < count; i++) {
      this.write({ direct: [plainElement(this.setup, random, writable)], table: null }, this.setup.tables);
    }
    return count;
  }

  /** Writes a chain of any shape that there is room for. @returns whether there was */
  offer(random: Random): boolean {
    const { queue } = this.setup;
    if (this.room === 0) return false;
    const indirect = random.chance(queue.indirect ? 40 : this.setup.hostility / 4);
    const all = elements(this.setup, random, indirect ? queue.size : this.room);
    // A split chain may end in a table behind direct descriptors; a packed list is all in one.
    const split = this.setup.format === "split" || random.chance(this.setup.hostility);
    const direct = split && indirect ? Math.min(random.pick([0, 0, 1, 2]), all.length - 1, this.room - 1) : 0;
    const shape = indirect ? { direct: all.slice(0, direct), table: all.slice(direct) } : { direct: all, table: null };
    this.written = [];
    const tableEntries = shape.table?.length ?? 0;
    const tableAt = this.placeTable(random, tableEntries);
    this.write(shape, tableAt);
    if (random.chance(this.setup.hostility / 2)) this.spoil(random);
    // A table whose last entry is a sound table itself.
    if (tableEntries > 0 && random.chance(this.setup.hostility / 2)) {
      const nested = [this.setup.format === "split" ? INDIRECT : 0, this.setup.format === "split" ? 0 : INDIRECT];
      const raw = { address: BigInt(tableAt), length: 16, flags: 0 };
      this.writeDescriptor(tableAt + 16 * (tableEntries - 1), raw, nested[0], nested[1]);
    }
    return true;
  }

  private placeTable(random: Random, entries: number): number {
    const { seams, tables } = this.setup;
    const misaligned = random.pick([0, 0, 0, 0, 8, 4, 2, 1]);
    if (seams.length > 0 && random.chance(15)) {
      const at = random.pick(seams) - 16 * random.below(entries + 1) - misaligned;
      if (this.memory.pieces(BigInt(at), 16 * entries) !== null) return at;
    }
    return tables + 16 * random.below(0x50) + misaligned;
  }

  /** Flips flags of a descriptor. */
  protected abstract flip(at: number, flags: number): void;

  /** Spoils one field of one descriptor of the chain written last. */
  private spoil(random: Random): void {
    const at = random.pick(this.written);
    const last = this.written[this.written.length - 1];
    const { size } = this.setup.queue;
    const next = this.setup.format === "split" ? 14 : 12;
    random.pick([
      () => this.flip(at, random.pick([NEXT, WRITE, INDIRECT])),
      () => this.flip(at, random.below(0x1_0000)),
      // The chain goes on where it should end, or its table, if it has one, ends within an entry.
      () => this.flip(last, NEXT),
      () => this.memory.put(last + 8, 4, this.memory.u32(last + 8) ^ random.pick([1, 4, 8, 12, 15])),
      () => this.memory.put(at + next, 2, random.pick([0, size - 1, size, random.below(size), 0xffff])),
      () => this.memory.put(at + 8, 4, random.pick([0, 1, 8, 15, 16, 17, 32, 16 * size, 16 * size + 16, 0xffff_fff0])),
      () => this.memory.put(at + 4, 4, random.pick([1, 0x20_0000, 0x8000_0000, 0xffff_ffff])),
      () => this.memory.put(at, 4, random.word()),
    ])();
  }

  protected writeDescriptor(at: number, { address, length }: Raw, low: number, high: number): void {
    this.memory.put(at, 4, Number(address & 0xffff_ffffn));
    this.memory.put(at + 4, 4, Number(address >> 32n));
    this.memory.put(at + 8, 4, length);
    this.memory.put(at + 12, 2, low);
    this.memory.put(at + 14, 2, high);
    this.written.push(at);
  }
}

function writeFlag(element: RawElement): number {
  return element.writable ? WRITE : 0;
}

export class NaiveSplitDriver extends NaiveDriver {
  private readonly free: number[];
  private readonly chains = new Map<number, number[]>();
  private nextAvail: number;

  constructor(stage: Setup, start: number) {
    super(stage);
    this.nextAvail = start;
    this.free = Array.from({ length: stage.queue.size }, (_, i) => i);
    // As after `start` buffers: the device asked for the next one.
    const { driverArea, deviceArea, size, eventIdx } = stage.queue;
    this.memory.put(driverArea + 2, 2, start);
    this.memory.put(deviceArea + 2, 2, start);
    if (eventIdx) this.memory.put(deviceArea + 4 + 8 * size, 2, start);
  }

  get room(): number {
    return this.free.length;
  }

  protected write({ direct, table }: Shape, tableAt: number): void {
    const { descriptorArea, driverArea, size } = this.setup.queue;
    const list = direct.map((element) => ({ ...element, flags: writeFlag(element) }));
    if (table !== null) {
      list.push({ address: BigInt(tableAt), length: 16 * table.length, flags: INDIRECT, writable: false });
      table.forEach((element, i) => {
        const more = i + 1 < table.length ? NEXT : 0;
        this.writeDescriptor(tableAt + 16 * i, { ...element, flags: 0 }, writeFlag(element) | more, more * (i + 1));
      });
    }
    const indexes = this.free.splice(0, list.length);
    list.forEach((raw, i) => {
      const more = i + 1 < list.length ? NEXT : 0;
      this.writeDescriptor(descriptorArea + 16 * indexes[i], raw, raw.flags | more, more * (indexes[i + 1] ?? 0));
    });
    this.chains.set(indexes[0], indexes);
    this.memory.put(driverArea + 4 + 2 * (this.nextAvail % size), 2, indexes[0]);
    this.nextAvail = (this.nextAvail + 1) & 0xffff;
  }

  protected flip(at: number, flags: number): void {
    this.memory.put(at + 12, 2, this.memory.u16(at + 12) ^ flags);
  }

  publish(): void {
    this.memory.put(this.setup.queue.driverArea + 2, 2, this.nextAvail);
  }

  reclaim(heads: readonly number[]): void {
    for (const head of heads) this.free.push(...(this.chains.get(head) ?? []));
    for (const head of heads) this.chains.delete(head);
  }

  disturb(random: Random): void {
    const { driverArea, descriptorArea, size } = this.setup.queue;
    const slot = driverArea + 4 + 2 * random.below(size);
    random.pick([
      () => this.memory.put(driverArea + 2, 2, this.nextAvail + random.pick([1, size, size + 1, 0x8000, -1])),
      () => this.memory.put(slot, 2, random.pick([0, size - 1, size, 0xffff, random.below(size)])),
      () => this.memory.put(descriptorArea + 16 * random.below(size) + random.below(16), 1, random.below(256)),
    ])();
  }

  setEvent(random: Random): void {
    const { driverArea, deviceArea, size } = this.setup.queue;
    this.memory.put(driverArea, 2, random.pick([0, 1, 2, 3, 0xffff]));
    const used = this.memory.u16(deviceArea + 2);
    this.memory.put(driverArea + 4 + 2 * size, 2, used + random.between(-2, 3));
  }
}

export class NaivePackedDriver extends NaiveDriver {
  private readonly next: Place;
  private readonly ids: number[];
  private readonly lists = new Map<number, number>();
  private entries: number;
  /** Flags of the first descriptors of lists, which make these available. */
  private heads: { at: number; flags: number }[] = [];

  constructor(stage: Setup, start: Place) {
    super(stage);
    const { size, descriptorArea } = stage.queue;
    this.next = start.copy();
    this.entries = size;
    this.ids = Array.from({ length: size }, (_, i) => i);
    // All that came before was used: in this lap before `start`, in the last one from there on.
    for (let i = 0; i < size; i++) {
      const wrap = i < start.entry ? start.wrap : 1 - start.wrap;
      this.memory.put(descriptorArea + 16 * i + 14, 2, wrap === 1 ? AVAIL | USED : 0);
    }
  }

  get room(): number {
    return this.entries;
  }

  protected write({ direct, table }: Shape, tableAt: number): void {
    const list = direct.map((element) => ({ ...element, flags: writeFlag(element) }));
    if (table !== null) {
      list.push({ address: BigInt(tableAt), length: 16 * table.length, flags: INDIRECT, writable: false });
      table.forEach((element, i) => {
        // 2.8.19: flags but WRITE are reserved, ids and what follows mean nothing.
        this.writeDescriptor(tableAt + 16 * i, { ...element, flags: 0 }, 0xffff * (i % 2), writeFlag(element));
      });
    }
    const id = this.ids.shift() ?? 0;
    this.lists.set(id, list.length);
    this.entries -= list.length;
    list.forEach((raw, i) => {
      const at = this.setup.queue.descriptorArea + 16 * this.next.entry;
      const flags = raw.flags | (i + 1 < list.length ? NEXT : 0) | (this.next.wrap === 1 ? AVAIL : USED);
      // Only the last descriptor's id counts.
      this.writeDescriptor(at, raw, i + 1 < list.length ? 0xfffe : id, i === 0 ? this.memory.u16(at + 14) : flags);
      if (i === 0) this.heads.push({ at, flags });
      this.next.move(1);
    });
  }

  protected flip(at: number, flags: number): void {
    const head = this.heads.find((one) => one.at === at);
    if (head !== undefined) head.flags ^= flags;
    else this.memory.put(at + 14, 2, this.memory.u16(at + 14) ^ flags);
  }

  publish(): void {
    for (const { at, flags } of this.heads.reverse()) this.memory.put(at + 14, 2, flags);
    this.heads = [];
  }

  reclaim(heads: readonly number[]): void {
    for (const head of heads) {
      this.entries += this.lists.get(head) ?? 0;
      if (this.lists.delete(head)) this.ids.push(head);
    }
  }

  disturb(random: Random): void {
    const { descriptorArea, size } = this.setup.queue;
    const at = descriptorArea + 16 * random.below(size);
    random.pick([
      () => this.memory.put(at + 14, 2, this.memory.u16(at + 14) ^ random.pick([AVAIL | USED, AVAIL, USED, NEXT])),
      () => this.memory.put(at + 12, 2, random.pick([0, size - 1, size, 0xffff, random.below(size)])),
      () => this.memory.put(at + random.below(16), 1, random.below(256)),
    ])();
  }

  setEvent(random: Random): void {
    const { driverArea, size } = this.setup.queue;
    this.memory.put(driverArea, 2, random.below(size + 1) | (random.below(2) << 15));
    this.memory.put(driverArea + 2, 2, random.pick([0, 1, 2, 2, 2, 3, 0xfffe]));
  }
}
