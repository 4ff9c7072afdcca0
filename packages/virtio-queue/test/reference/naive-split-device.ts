/**
 * The naive device of a split ring: VIRTIO 1.4, 2.7.
 * @module
 */

import type { QueueFaultCode } from "@virtio-ts/virtio-queue";
import { type Walk, walkSplit } from "./chains.ts";
import { type Chain, NaiveDevice, type QueueSetup, type UsedElement } from "./naive-device.ts";
import type { Leeway, PlainMemory } from "./plain-memory.ts";

export class NaiveSplitDevice extends NaiveDevice {
  private nextAvail: number;
  private nextUsed: number;
  /** The index that the driver was asked to notify at. */
  private asked: number;

  constructor(memory: PlainMemory, queue: QueueSetup, start: number) {
    super(memory, queue);
    this.nextAvail = start;
    this.nextUsed = start;
    this.asked = start;
  }

  available(): boolean {
    return this.faults === null && this.ready() !== 0;
  }

  /** Entries that the driver says are available. */
  private ready(): number {
    return (this.memory.u16(this.queue.driverArea + 2) - this.nextAvail) & 0xffff;
  }

  protected ringFault(): QueueFaultCode | null {
    return this.ready() > this.queue.size - this.entries ? "avail-index" : null;
  }

  protected look(): Walk | null {
    const { memory, queue } = this;
    if (this.ready() === 0) return null;
    const head = memory.u16(queue.driverArea + 4 + 2 * (this.nextAvail % queue.size));
    if (head >= queue.size) return { sound: false, faults: ["head-out-of-range"] };
    if (this.unpublished.some((chain) => chain.head === head)) return { sound: false, faults: ["head-outstanding"] };
    return walkSplit(memory, queue, head);
  }

  override get heldHeads(): number[] {
    return super.heldHeads.sort((a, b) => (this.queue.inOrder ? 0 : a - b));
  }

  /** Its descriptors are the device's until it is used: they say what they said, or what the driver has made of them. */
  protected lookAgain({ head }: Chain): Walk {
    return walkSplit(this.memory, this.queue, head);
  }

  noteChanges(): void {}

  protected move(entries: number): void {
    this.nextAvail = (this.nextAvail + entries) & 0xffff;
  }

  protected put({ head, written, entries }: UsedElement): void {
    const { memory, queue } = this;
    const at = queue.deviceArea + 4 + 8 * (this.nextUsed % queue.size);
    memory.expect(at, 4, head);
    memory.expect(at + 4, 4, written);
    this.nextUsed = (this.nextUsed + entries) & 0xffff;
  }

  protected show(): void {
    this.memory.expect(this.queue.deviceArea + 2, 2, this.nextUsed);
  }

  protected driverWants(entries: number): boolean {
    const { memory, queue } = this;
    if (!queue.eventIdx) return (memory.u16(queue.driverArea) & 1) === 0;
    // 2.7.7.2: of the entries just written, the one with index used_event.
    const usedEvent = memory.u16(queue.driverArea + 4 + 2 * queue.size);
    for (let i = 1; i <= entries; i++) if (usedEvent === ((this.nextUsed - i) & 0xffff)) return true;
    return false;
  }

  protected ask(): void {
    this.asked = this.nextAvail;
    if (!this.queue.eventIdx) this.memory.expect(this.queue.deviceArea, 2, 0);
  }

  protected askNot(): void {
    if (!this.queue.eventIdx) this.memory.expect(this.queue.deviceArea, 2, 1);
  }

  private get availEventAt(): number {
    return this.queue.deviceArea + 4 + 8 * this.queue.size;
  }

  leeway(): Leeway[] {
    const { queue } = this;
    const used = this.staged.map((_, i) => ({
      address: queue.deviceArea + 4 + 8 * ((this.nextUsed + i) % queue.size),
      length: 8,
    }));
    return queue.eventIdx ? [...used, { address: this.availEventAt, length: 2 }] : used;
  }

  /** 2.7.10.2: the driver notifies when it writes the entry with index avail_event. */
  askedWrong(): string | null {
    const { queue } = this;
    if (!queue.eventIdx || this.ringFault() !== null) return null;
    const event = this.memory.found(this.availEventAt, 2);
    if (this.asks) return event === this.asked ? null : `avail_event is ${event}, not ${this.asked}`;
    const soon = (event - this.memory.u16(queue.driverArea + 2)) & 0xffff;
    return soon >= queue.size ? null : `avail_event is ${event}, though no notification is wanted`;
  }
}
