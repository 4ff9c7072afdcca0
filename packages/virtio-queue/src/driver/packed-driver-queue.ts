/**
 * The driver's half of a packed virtqueue: VIRTIO 1.4, 2.8.
 *
 * How many ring entries each buffer id stands for is kept here: the ring is written by the device, too.
 * @module
 */

import type { GuestMemory } from "@virtio-ts/vm-memory";
import { QUEUE_EMPTY } from "../device-queue.ts";
import { VIRTQ_DESC_F_NEXT, VIRTQ_DESC_F_WRITE } from "../layout/descriptor.ts";
import { fenceLoads } from "../layout/fence.ts";
import {
  locatePacked,
  PACKED_EVENT_BYTES,
  type PackedRing,
  packedRingBytes,
  VIRTQ_DESC_F_AVAIL,
  VIRTQ_DESC_F_USED,
} from "../layout/packed.ts";
import { PackedEvents } from "../layout/packed-events.ts";
import { BaseDriverQueue } from "./base-driver-queue.ts";
import type { BufferElements } from "./buffer-elements.ts";
import type { DriverQueueConfig } from "./config.ts";
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
  private readonly ring: PackedRing;
  private nextAvail = 0;
  private availWrap = 1;
  private nextUsed = 0;
  private usedWrap = 1;
  /** The position that was published last, see {@link notificationPosition}. */
  private published = 0x8000;
  /** The first word that is not yet the device's: with it, all that was added is there at once. */
  private withheldWord = -1;
  private withheld = 0;
  /** In any order: used descriptors that `countUsed` has seen. */
  private seen = 0;
  /** Ids that are free, as a stack. */
  private readonly freeIds: Uint16Array;
  private freeCount: number;

  /** @throws QueueConfigError */
  constructor(memory: GuestMemory, config: DriverQueueConfig) {
    const ring = locatePacked(memory, config);
    super(memory, config);
    const { size } = config;
    this.ring = ring;
    this.events = new PackedEvents(ring.driverEvent, ring.deviceEvent, config.eventIdx, size);
    this.freeIds = Uint16Array.from({ length: size }, (_, i) => size - 1 - i);
    this.freeCount = size;
    if (config.state === undefined) this.clear();
    else this.restore(checkPackedDriverState(config.state, size));
  }

  get notificationPosition(): number {
    return this.published;
  }

  protected get usedPosition(): number {
    return this.nextUsed | (this.usedWrap << 15);
  }

  protected get nextHead(): number {
    return this.freeIds[this.freeCount - 1];
  }

  protected writeOne(address: number, length: number, flags: number): number {
    this.ring.region.refresh();
    const id = this.freeIds[--this.freeCount];
    this.writeHead(this.nextAvail, address, length, id | ((flags | this.availability()) << 16));
    this.advance();
    return id;
  }

  protected writeChain({ count, readables, addresses, lengths }: BufferElements): number {
    this.ring.region.refresh();
    const id = this.freeIds[--this.freeCount];
    const head = this.nextAvail;
    const ring = this.ring.region.u32;
    const headFlags = F_NEXT | (readables === 0 ? F_WRITE : 0) | this.availability();
    for (let i = 0; i < count; i++) {
      const flags = (i + 1 < count ? F_NEXT : 0) | (i < readables ? 0 : F_WRITE) | this.availability();
      if (i > 0) ring[this.writeBuffer(this.nextAvail, addresses[i], lengths[i])] = id | (flags << 16);
      this.advance();
    }
    this.writeHead(head, addresses[0], lengths[0], id | (headFlags << 16));
    return id;
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
    Atomics.store(this.ring.region.u32, this.withheldWord, this.withheld);
    this.withheldWord = -1;
    const passed = this.nextAvail - (this.published & 0x7fff);
    const lap = this.availWrap === this.published >>> 15 ? 0 : this.size;
    this.published = this.nextAvail | (this.availWrap << 15);
    return passed + lap;
  }

  /**
   * QEMU's NIC does not ask anew when it went on by itself after its peer had had no room. What a device may wait for is
   * the entry after the last it used, or one of the lap that begins there; all others are behind it.
   */
  protected waitsInVain(): boolean {
    return this.shadow.outstanding > 0 && this.events.waitsFor(this.usedPosition, this.size - 1);
  }

  protected isUsed(): boolean {
    const { region, word } = this.ring;
    region.refresh();
    const flags = Atomics.load(region.u16, 2 * word + 8 * this.nextUsed + 7);
    return (flags & OWNER) === (this.usedWrap === 1 ? OWNER : 0);
  }

  protected countUsed(max: number): number {
    const { shadow } = this;
    if (shadow.batchLeft === 0 && !this.isUsed()) return QUEUE_EMPTY;
    const given = shadow.outstanding - shadow.added;
    if (given === 0) return this.failUsed("id-not-outstanding");
    if (!shadow.inOrder) this.seen = this.countDescriptors(Math.min(max, given));
    return given;
  }

  protected takeEach(used: UsedBurst, wanted: number): number {
    const { shadow } = this;
    const { freeIds } = this;
    const { heads, lengths } = used;
    const { region, word, size } = this.ring;
    const ring = region.u32;
    const most = Math.min(wanted, this.seen);
    const freeCount = this.freeCount;
    let next = this.nextUsed;
    let descriptors = 0;
    let taken = 0;
    for (; taken < most; taken++) {
      const at = (word + (next << 2)) | 0;
      const last = ring[(at + 3) | 0];
      const id = last & 0xffff;
      const length = shadow.check(id, ring[(at + 2) | 0], (last & MEANT) !== 0);
      if (length < 0) break;
      const count = shadow.strike(id);
      descriptors += count;
      next += count;
      if (next >= size) next -= size;
      freeIds[freeCount + taken] = id;
      heads[taken] = id;
      lengths[taken] = length;
    }
    shadow.took(taken, descriptors);
    this.freeCount = freeCount + taken;
    this.advanceUsed(descriptors);
    return taken;
  }

  protected readUsed(): void {
    const { region, word } = this.ring;
    const at = word + 4 * this.nextUsed;
    const last = region.u32[at + 3];
    this.usedId = last & 0xffff;
    this.usedLength = region.u32[at + 2];
    this.usedMeant = (last & MEANT) !== 0;
  }

  protected release(id: number, count: number): void {
    this.freeIds[this.freeCount++] = id;
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

  /** The two flags that make the next entry available (2.8.1). */
  private availability(): number {
    return this.availWrap === 1 ? F_AVAIL : F_USED;
  }

  private advance(): void {
    this.nextAvail++;
    if (this.nextAvail < this.size) return;
    this.nextAvail = 0;
    this.availWrap ^= 1;
  }

  private advanceUsed(entries: number): void {
    this.nextUsed += entries;
    if (this.nextUsed < this.size) return;
    this.nextUsed -= this.size;
    this.usedWrap ^= 1;
  }

  /**
   * Writes the first descriptor of a list, after the others; the very first one's last word waits for `publish`.
   * @param last the id, and the flags in the upper half
   */
  private writeHead(index: number, address: number, length: number, last: number): void {
    const at = this.writeBuffer(index, address, length);
    if (this.withheldWord >= 0) {
      this.ring.region.u32[at] = last;
    } else {
      this.withheldWord = at;
      this.withheld = last;
    }
  }

  /** Writes a descriptor but for its last word. @returns the index of that */
  private writeBuffer(index: number, address: number, length: number): number {
    const { region, word } = this.ring;
    const view = region.u32;
    const at = (word + (index << 2)) | 0;
    view[at] = address;
    view[(at + 1) | 0] = address < HIGH_WORD ? 0 : address / HIGH_WORD;
    view[(at + 2) | 0] = length;
    return (at + 3) | 0;
  }

  /**
   * Counts used descriptors, by their ids, up to the first that is not sound: one fence then orders all that is read of
   * them. They are read and checked anew.
   */
  private countDescriptors(max: number): number {
    const { shadow } = this;
    const { region, word, size } = this.ring;
    const ring = region.u32;
    let next = this.nextUsed;
    let expected = (this.usedWrap === 1 ? OWNER : 0) << 16;
    let count = 0;
    while (count < max) {
      const last = ring[word + 4 * next + 3];
      if ((last & (OWNER << 16)) !== expected) break;
      count++;
      const id = last & 0xffff;
      const entries = id < size ? shadow.count(id) : 0;
      if (entries === 0) break;
      next += entries;
      if (next < size) continue;
      next -= size;
      expected ^= OWNER << 16;
    }
    if (count > 1) fenceLoads();
    return count;
  }

  private restore(state: DriverQueueState): void {
    this.restoreCommon(state);
    this.published = state.nextAvail;
    this.nextAvail = state.nextAvail & 0x7fff;
    this.availWrap = state.nextAvail >>> 15;
    this.nextUsed = state.nextUsed & 0x7fff;
    this.usedWrap = state.nextUsed >>> 15;
    const ids = Array.from({ length: this.size }, (_, id) => id).filter((id) => this.shadow.count(id) === 0);
    this.freeIds.set(ids.reverse());
    this.freeCount = ids.length;
  }
}
