/**
 * The driver's half of a packed virtqueue: VIRTIO 1.4, 2.8.
 *
 * How many ring entries each buffer id stands for is kept here: the ring is written by the device, too.
 * @module
 */

import type { GuestMemory, MemoryRegion } from "@virtio-ts/vm-memory";
import { QUEUE_EMPTY } from "../device-queue.ts";
import { VIRTQ_DESC_F_NEXT, VIRTQ_DESC_F_WRITE } from "../layout/descriptor.ts";
import { fenceLoads } from "../layout/fence.ts";
import {
  locatePacked,
  PACKED_EVENT_BYTES,
  packedRingBytes,
  VIRTQ_DESC_F_AVAIL,
  VIRTQ_DESC_F_USED,
} from "../layout/packed.ts";
import { PackedEvents } from "../layout/packed-events.ts";
import { BaseDriverQueue } from "./base-driver-queue.ts";
import type { BufferElements } from "./buffer-elements.ts";
import type { DriverQueueConfig } from "./config.ts";
import { countUsed } from "./packed-used.ts";
import { checkPackedDriverState } from "./restore.ts";
import type { DriverQueueState } from "./state.ts";
import type { UsedBurst } from "./used-burst.ts";

const F_NEXT: number = VIRTQ_DESC_F_NEXT;
const F_WRITE: number = VIRTQ_DESC_F_WRITE;
const F_AVAIL: number = VIRTQ_DESC_F_AVAIL;
const F_USED: number = VIRTQ_DESC_F_USED;
const OWNER: number = F_AVAIL | F_USED;
/**
 * WRITE of a used descriptor, in its last word: without it the length is reserved (2.8.4). But QEMU never sets WRITE and
 * means its lengths, so one that fits is believed then, and one that does not says nothing.
 */
const MEANT: number = F_WRITE << 16;
const HIGH_WORD = 2 ** 32;

/** The driver's half of a packed virtqueue. */
export class PackedDriverQueue extends BaseDriverQueue {
  protected override readonly events: PackedEvents;
  private readonly region: MemoryRegion;
  /** The ring's first word there. */
  private readonly word: number;
  private nextAvail = 0;
  /** Of the two flags, the one that makes the next entry available (2.8.1): AVAIL while the wrap counter is 1. */
  private availability: number = F_AVAIL;
  private nextUsed = 0;
  private usedWrap = 1;
  /** The position that was published last, see {@link notificationPosition}. */
  private published = 0x8000;
  /** The first word that is not yet the device's: with it, all that was added is there at once. */
  private withheldWord = -1;
  private withheld = 0;
  /** In any order: used descriptors that `countUsed` has seen. */
  private seen = 0;

  /** @throws QueueConfigError */
  constructor(memory: GuestMemory, config: DriverQueueConfig) {
    const ring = locatePacked(memory, config);
    super(memory, config);
    const { size } = config;
    this.region = ring.region;
    this.word = ring.word;
    this.events = new PackedEvents(ring.driverEvent, ring.deviceEvent, config.eventIdx, size);
    this.linkFree(this.shadow.unused());
    if (config.state === undefined) this.clear();
    else this.restore(checkPackedDriverState(config.state, size));
  }

  get notificationPosition(): number {
    return this.published;
  }

  protected get usedPosition(): number {
    return this.nextUsed | (this.usedWrap << 15);
  }

  protected writeOne(id: number, address: number, length: number, flags: number): void {
    const { region, nextAvail } = this;
    region.refresh();
    this.firstFree = this.shadow.link(id);
    const at = this.writeBuffer(region.u32, nextAvail, address, length);
    this.makeAvailable(region.u32, at, id | ((flags | this.availability) << 16));
    this.advance(nextAvail);
  }

  protected writeChain(id: number, { count, readables, addresses, lengths }: BufferElements): void {
    this.region.refresh();
    this.firstFree = this.shadow.link(id);
    const ring = this.region.u32;
    let headAt = 0;
    let headLast = 0;
    for (let i = 0; i < count; i++) {
      const flags = (i + 1 < count ? F_NEXT : 0) | (i < readables ? 0 : F_WRITE) | this.availability;
      const at = this.writeBuffer(ring, this.nextAvail, addresses[i], lengths[i]);
      if (i > 0) {
        ring[at] = id | (flags << 16);
      } else {
        headAt = at;
        headLast = id | (flags << 16);
      }
      this.advance(this.nextAvail);
    }
    this.makeAvailable(ring, headAt, headLast);
  }

  protected writeTable(
    { count, readables, addresses, lengths }: BufferElements,
    view: Uint32Array,
    first: number,
  ): void {
    for (let i = 0; i < count; i++) {
      const word = first + 4 * i;
      view[word] = addresses[i];
      view[word + 1] = addresses[i] / HIGH_WORD;
      view[word + 2] = lengths[i];
      view[word + 3] = i < readables ? 0 : F_WRITE << 16;
    }
  }

  protected publishAdded(): number {
    Atomics.store(this.region.u32, this.withheldWord, this.withheld);
    this.withheldWord = -1;
    const { published } = this;
    this.published = this.nextAvail | (this.availability === F_AVAIL ? 0x8000 : 0);
    const lap = this.published >>> 15 === published >>> 15 ? 0 : this.size;
    return this.nextAvail - (published & 0x7fff) + lap;
  }

  /**
   * QEMU's NIC does not ask anew when it went on by itself after its peer had had no room. What a device may wait for is
   * the entry after the last it used, or one of the lap that begins there; all others are behind it.
   */
  protected waitsInVain(): boolean {
    return this.shadow.outstanding > 0 && this.events.waitsFor(this.usedPosition, this.size - 1);
  }

  protected isUsed(): boolean {
    const { region, word } = this;
    region.refresh();
    const flags = Atomics.load(region.u16, 2 * word + 8 * this.nextUsed + 7);
    return (flags & OWNER) === (this.usedWrap === 1 ? OWNER : 0);
  }

  protected countUsed(max: number): number {
    const { shadow } = this;
    if (shadow.batchLeft === 0 && !this.isUsed()) return QUEUE_EMPTY;
    const given = shadow.outstanding - shadow.added;
    if (given === 0) return this.failUsed("id-not-outstanding");
    if (!shadow.inOrder) this.seen = this.lookForUsed(Math.min(max, given));
    return given;
  }

  protected takeEach(used: UsedBurst, wanted: number): number {
    const { shadow } = this;
    const { heads, lengths } = used;
    const ring = this.region.u32;
    const word = this.word | 0;
    const size = this.size | 0;
    const most = Math.min(wanted, this.seen) | 0;
    const allTold = shadow.added === 0;
    let firstFree = this.firstFree | 0;
    let next = this.nextUsed | 0;
    let descriptors = 0;
    let taken = 0;
    for (; taken < most; taken = (taken + 1) | 0) {
      const at = (word + (next << 2)) | 0;
      const last = ring[(at + 3) | 0] | 0;
      const id = last & 0xffff;
      let length = ring[(at + 2) | 0];
      if (!shadow.has(id) || !(allTold || shadow.isTold(id))) break;
      if (!shadow.holds(id, length)) {
        const cut = shadow.cut(id, (last & MEANT) !== 0);
        if (cut < 0) break;
        length = cut;
      }
      const count = shadow.strike(id);
      shadow.setLink(id, firstFree);
      firstFree = id;
      heads[taken] = id;
      lengths[taken] = length;
      descriptors = (descriptors + count) | 0;
      // Almost always 1: the processor goes on with that, and does not wait for what the shadow says.
      next = (count === 1 ? next + 1 : next + count) | 0;
      if (next >= size) next = (next - size) | 0;
    }
    shadow.took(taken, descriptors);
    this.firstFree = firstFree;
    this.advanceUsed(descriptors);
    return taken;
  }

  protected readUsed(): void {
    const { region, word } = this;
    const at = word + 4 * this.nextUsed;
    const last = region.u32[at + 3];
    this.usedId = last & 0xffff;
    this.usedLength = region.u32[at + 2];
    this.usedMeant = (last & MEANT) !== 0;
  }

  protected release(id: number, count: number): void {
    this.shadow.setLink(id, this.firstFree);
    this.firstFree = id;
    this.advanceUsed(count);
  }

  protected descriptorsOf(id: number): number {
    return this.shadow.count(id);
  }

  protected savePosition(): Pick<DriverQueueState, "format" | "nextAvail" | "nextUsed" | "nextDescriptor"> {
    return { format: "packed", nextAvail: this.published, nextUsed: this.usedPosition, nextDescriptor: 0 };
  }

  /** The areas as the device is to find them: the ring is zero-initialized (2.8.13). */
  private clear(): void {
    const { descriptorArea, driverArea, deviceArea, size } = this.areas;
    this.memory.fill(descriptorArea, packedRingBytes(size));
    this.memory.fill(driverArea, PACKED_EVENT_BYTES);
    this.memory.fill(deviceArea, PACKED_EVENT_BYTES);
  }

  private advance(from: number): void {
    this.nextAvail = (from + 1) | 0;
    if (this.nextAvail >= this.size) this.beginLap();
  }

  private beginLap(): void {
    this.nextAvail = 0;
    this.availability ^= OWNER;
  }

  private advanceUsed(entries: number): void {
    this.nextUsed += entries;
    if (this.nextUsed < this.size) return;
    this.nextUsed -= this.size;
    this.usedWrap ^= 1;
  }

  /**
   * Writes the last word of a list's first descriptor, after all others; the very first one's waits for `publish`.
   * @param last the id, and the flags in the upper half
   */
  private makeAvailable(ring: Uint32Array, at: number, last: number): void {
    if (this.withheldWord >= 0) {
      ring[at] = last;
    } else {
      this.withheldWord = at;
      this.withheld = last;
    }
  }

  /** Writes a descriptor but for its last word. @returns the index of that */
  private writeBuffer(ring: Uint32Array, index: number, address: number, length: number): number {
    const at = (this.word + (index << 2)) | 0;
    ring[at] = address;
    ring[(at + 1) | 0] = address >>> 0 === address ? 0 : address / HIGH_WORD;
    ring[(at + 2) | 0] = length;
    return (at + 3) | 0;
  }

  /** How many buffers are used, up to the first that is not sound. They are read and checked anew. */
  private lookForUsed(max: number): number {
    const count = countUsed(this.region.u32, this.word, this.usedPosition, this.shadow, max);
    if (count > 1) fenceLoads(); // one for all that is read of them
    return count;
  }

  private restore(state: DriverQueueState): void {
    this.restoreCommon(state);
    this.published = state.nextAvail;
    this.nextAvail = state.nextAvail & 0x7fff;
    this.availability = state.nextAvail >>> 15 === 1 ? F_AVAIL : F_USED;
    this.nextUsed = state.nextUsed & 0x7fff;
    this.usedWrap = state.nextUsed >>> 15;
    this.linkFree(this.shadow.unused());
  }
}
