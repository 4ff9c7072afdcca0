/**
 * The driver's half of a split virtqueue: VIRTIO 1.4, 2.7.
 *
 * Which descriptors are free and which belong to what buffer is kept here, never read back from the table: the device
 * could have written there.
 * @module
 */

import type { GuestMemory } from "@virtio-ts/vm-memory";
import { VIRTQ_DESC_F_NEXT, VIRTQ_DESC_F_WRITE } from "../layout/descriptor.ts";
import {
  availEventFields,
  locateSplit,
  type SplitRing,
  splitAvailBytes,
  splitDescriptorBytes,
  splitUsedBytes,
  usedEventFields,
} from "../layout/split.ts";
import { SplitEvents } from "../layout/split-events.ts";
import { BaseDriverQueue } from "./base-driver-queue.ts";
import type { BufferElements } from "./buffer-elements.ts";
import type { DriverQueueConfig } from "./config.ts";
import { checkSplitDriverState } from "./restore.ts";
import type { DriverQueueState } from "./state.ts";
import type { UsedBurst } from "./used-burst.ts";

const F_NEXT: number = VIRTQ_DESC_F_NEXT;
const F_WRITE: number = VIRTQ_DESC_F_WRITE;
const HIGH_WORD = 2 ** 32;

/** The driver's half of a split virtqueue. */
export class SplitDriverQueue extends BaseDriverQueue {
  protected override readonly events: SplitEvents;
  private readonly ring: SplitRing;
  private readonly mask: number;
  /** Where the next buffer goes, and up to where the device was told. */
  private nextAvail = 0;
  private published = 0;
  private nextUsed = 0;

  /** @throws QueueConfigError */
  constructor(memory: GuestMemory, config: DriverQueueConfig) {
    const ring = locateSplit(memory, config);
    super(memory, config);
    const { size } = config;
    this.ring = ring;
    this.mask = size - 1;
    this.linkFree(this.shadow.unused());
    this.events = new SplitEvents(availEventFields(ring), usedEventFields(ring), config.eventIdx);
    if (config.state === undefined) this.clear();
    else this.restore(checkSplitDriverState(config.state, size, this.shadow.inOrder));
  }

  get notificationPosition(): number {
    return this.published;
  }

  protected get usedPosition(): number {
    return this.nextUsed;
  }

  protected writeOne(head: number, address: number, length: number, flags: number): void {
    const { tableRegion, tableWord } = this.ring;
    tableRegion.refresh();
    this.firstFree = this.shadow.link(head);
    writeDescriptor(tableRegion.u32, (tableWord + (head << 2)) | 0, address, length, flags);
    this.addHead(head);
  }

  protected writeChain(head: number, { count, readables, addresses, lengths }: BufferElements): void {
    const { tableRegion, tableWord } = this.ring;
    tableRegion.refresh();
    let index = head;
    for (let i = 0; i < count; i++) {
      const following = this.shadow.link(index);
      const more = i + 1 < count ? F_NEXT | (following << 16) : 0;
      const flags = more | (i < readables ? 0 : F_WRITE);
      writeDescriptor(tableRegion.u32, tableWord + 4 * index, addresses[i], lengths[i], flags);
      index = following;
    }
    this.firstFree = index;
    this.addHead(head);
  }

  protected writeTable(
    { count, readables, addresses, lengths }: BufferElements,
    view: Uint32Array,
    first: number,
  ): void {
    for (let i = 0; i < count; i++) {
      const more = i + 1 < count ? F_NEXT | ((i + 1) << 16) : 0;
      writeDescriptor(view, first + 4 * i, addresses[i], lengths[i], more | (i < readables ? 0 : F_WRITE));
    }
  }

  protected publishAdded(): number {
    this.published = this.nextAvail;
    Atomics.store(this.ring.availRegion.u16, this.ring.availHalf + 1, this.nextAvail);
    return this.shadow.added;
  }

  protected waitsInVain(): boolean {
    return false;
  }

  protected isUsed(): boolean {
    this.ring.usedRegion.refresh();
    return this.readIndex() !== this.nextUsed;
  }

  protected countUsed(): number {
    const index = this.readIndex();
    const ready = (index - this.nextUsed) & 0xffff;
    const given = this.shadow.outstanding - this.shadow.added;
    if (ready <= given) return ready;
    return this.fail("used-index", `used index ${index}, ${ready} ahead with ${given} available`);
  }

  protected takeEach(used: UsedBurst, wanted: number): number {
    const { shadow } = this;
    const { heads, lengths } = used;
    const ring = this.ring.usedRegion.u32;
    const base = (this.ring.usedHalf / 2 + 1) | 0;
    const mask = this.mask | 0;
    const nextUsed = this.nextUsed | 0;
    const allTold = shadow.added === 0;
    let firstFree = this.firstFree | 0;
    let descriptors = 0;
    let taken = 0;
    for (; taken < wanted; taken++) {
      const entry = (base + (((nextUsed + taken) & mask) << 1)) | 0;
      const id = ring[entry];
      if (!shadow.has(id) || !(allTold || shadow.isTold(id))) break;
      let length = ring[(entry + 1) | 0];
      if (!shadow.holds(id, length)) {
        const cut = shadow.cut(id, true);
        if (cut < 0) break;
        length = cut;
      }
      const count = shadow.strike(id);
      shadow.setLink(this.lastOf(id, count), firstFree);
      firstFree = id;
      descriptors += count;
      heads[taken] = id;
      lengths[taken] = length;
    }
    shadow.took(taken, descriptors);
    this.firstFree = firstFree;
    this.nextUsed = (nextUsed + taken) & 0xffff;
    return taken;
  }

  protected readUsed(): void {
    const { usedRegion, usedHalf } = this.ring;
    const entry = usedHalf / 2 + 1 + 2 * (this.nextUsed & this.mask);
    this.usedId = usedRegion.u32[entry];
    this.usedLength = usedRegion.u32[entry + 1];
  }

  /** In order the free descriptors follow each other around the ring, and so they stay. */
  protected release(): void {
    this.nextUsed = (this.nextUsed + 1) & 0xffff;
  }

  /** The last of a chain's `count` descriptors. */
  private lastOf(head: number, count: number): number {
    let last = head;
    for (let i = 1; i < count; i++) last = this.shadow.link(last);
    return last;
  }

  protected descriptorsOf(head: number): number[] {
    const descriptors = [head];
    const { shadow } = this;
    while (descriptors.length < shadow.count(head)) descriptors.push(shadow.link(descriptors[descriptors.length - 1]));
    return descriptors;
  }

  protected savePosition(): Pick<DriverQueueState, "format" | "nextAvail" | "nextUsed" | "nextDescriptor"> {
    const { nextAvail, nextUsed, firstFree } = this;
    return { format: "split", nextAvail, nextUsed, nextDescriptor: firstFree };
  }

  /** The areas as the device is to find them, `flags` of the used ring included (2.7.10.1). */
  private clear(): void {
    const { descriptorArea, driverArea, deviceArea, size } = this.areas;
    this.memory.fill(descriptorArea, splitDescriptorBytes(size));
    this.memory.fill(driverArea, splitAvailBytes(size));
    this.memory.fill(deviceArea, splitUsedBytes(size));
  }

  /** Puts a chain's head into the available ring. */
  private addHead(head: number): void {
    const { availRegion, availHalf } = this.ring;
    availRegion.refresh();
    availRegion.u16[availHalf + 2 + (this.nextAvail & this.mask)] = head;
    this.nextAvail = (this.nextAvail + 1) & 0xffff;
  }

  private readIndex(): number {
    return Atomics.load(this.ring.usedRegion.u16, this.ring.usedHalf + 1);
  }

  private restore(state: DriverQueueState): void {
    this.restoreCommon(state);
    this.nextAvail = state.nextAvail;
    this.published = state.nextAvail;
    this.nextUsed = state.nextUsed;
    this.firstFree = state.nextDescriptor;
    const { shadow } = this;
    const taken = new Set<number>();
    for (const { descriptors } of state.outstanding) {
      (descriptors as readonly number[]).forEach((descriptor, i, all) => {
        taken.add(descriptor);
        if (i > 0) shadow.setLink(all[i - 1], descriptor);
      });
    }
    if (shadow.inOrder) return;
    this.linkFree(shadow.unused().filter((descriptor) => !taken.has(descriptor)));
  }
}

/** Writes a descriptor of a split or indirect table, `next` in the upper half of `flags`. */
function writeDescriptor(view: Uint32Array, word: number, address: number, length: number, flags: number): void {
  view[word] = address;
  view[(word + 1) | 0] = address < HIGH_WORD ? 0 : address / HIGH_WORD;
  view[(word + 2) | 0] = length;
  view[(word + 3) | 0] = flags;
}
