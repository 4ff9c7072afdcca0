/**
 * What the device's half of a queue does whatever the format: bursts, faults, notifications, the end of its life.
 * VIRTIO 1.4, 2.6.
 * @module
 */

import type { GuestMemory } from "@virtio-ts/vm-memory";
import type { ChainBurst } from "../chain-burst.ts";
import { type DeviceQueue, QUEUE_EMPTY, QUEUE_MALFORMED, type QueueCounters } from "../device-queue.ts";
import { QueueFault, type QueueFaultCode, QueueUsageError } from "../fault.ts";
import type { QueueEvents } from "../layout/events.ts";
import type { CommonQueueState, OutstandingChain, QueueState } from "../state.ts";
import type { DeviceQueueConfig } from "./config.ts";
import { Holdings } from "./holdings.ts";
import { InOrder } from "./in-order.ts";
import type { AvailableSide, UsedSide } from "./sides.ts";

/** The device's half of a queue; a format gives it the two sides of its ring. */
export abstract class BaseDeviceQueue implements DeviceQueue {
  readonly size: number;
  readonly counters: QueueCounters = { chains: 0, used: 0, notified: 0, suppressed: 0, malformed: 0 };
  fault: QueueFault | null = null;

  protected readonly holdings: Holdings;
  protected abstract readonly available: AvailableSide;
  protected abstract readonly used: UsedSide;
  protected abstract readonly events: QueueEvents;
  private readonly memory: GuestMemory;
  private readonly onFault: ((fault: QueueFault) => void) | null;
  private readonly inOrder: InOrder | null;
  private stopped = false;
  /** Chains taken and not given back. */
  private held = 0;
  /** Chains of the last burst that can still be rewound. */
  private fresh = 0;
  /** Chains whose used elements are not published yet. */
  private unpublished = 0;

  constructor(memory: GuestMemory, config: DeviceQueueConfig) {
    this.size = config.size;
    this.memory = memory;
    this.onFault = config.onFault ?? null;
    this.holdings = new Holdings(config.size);
    this.inOrder = config.inOrder === true ? new InOrder(this.holdings) : null;
  }

  get outstanding(): number {
    return this.held;
  }

  pop(burst: ChainBurst, max: number): number {
    this.clear(burst);
    if (this.stopped) return this.fault === null ? QUEUE_EMPTY : QUEUE_MALFORMED;
    this.memory.refresh();
    const wanted = this.available.count(max);
    if (wanted === QUEUE_MALFORMED) return this.failChain();
    if (wanted === 0) return QUEUE_EMPTY;
    burst.reserveChains(wanted);
    const taken = this.take(burst, wanted);
    if (taken === 0) return this.failChain();
    burst.count = taken;
    burst.written.fill(0, 0, taken);
    this.fresh = taken;
    this.held += taken;
    this.inOrder?.took(burst, taken);
    this.counters.chains += taken;
    this.events.follow(this.available.position);
    return taken;
  }

  heldChains(): number[] {
    return this.inOrder?.heads() ?? this.available.heads();
  }

  walkHeld(burst: ChainBurst, head: number): number {
    this.clear(burst);
    if (this.stopped) return this.fault === null ? QUEUE_EMPTY : QUEUE_MALFORMED;
    if (!this.isHeld(head)) return QUEUE_EMPTY;
    this.memory.refresh();
    if (!this.available.walkHeld(burst, head)) return this.failChain();
    burst.count = 1;
    burst.written[0] = 0;
    return 1;
  }

  rewind(burst: ChainBurst, from: number): void {
    if (this.stopped) return;
    const { holdings } = this;
    const count = burst.count - from;
    const before = holdings.entries;
    const most = count > this.fresh ? 0 : (this.inOrder?.rewind(count) ?? count);
    const done = holdings.rewind(burst, burst.count - most);
    this.held -= done;
    this.available.back(before - holdings.entries);
    this.counters.chains -= done;
    this.fresh -= done;
    burst.count -= done;
    if (done < count) this.fail("not-outstanding", `rewound ${count} chains, ${done} of them just taken and held`);
  }

  push(head: number, written: number): void {
    if (this.stopped) return;
    if (!this.isHeld(head)) {
      this.fail("not-outstanding", `${head} given back, but not held`);
      return;
    }
    this.held--;
    if (this.inOrder !== null) {
      this.inOrder.give(head, written);
      return;
    }
    this.used.give(head, written);
    this.unpublished++;
  }

  pushAll(burst: ChainBurst, from: number = 0, to: number = burst.count): void {
    if (this.stopped) return;
    if (this.inOrder !== null) {
      for (let i = from; i < to; i++) this.push(burst.heads[i], burst.written[i]);
      return;
    }
    const end = this.used.giveAll(burst, from, to);
    this.unpublished += end - from;
    this.held -= end - from;
    if (end < to) this.fail("not-outstanding", `${burst.heads[end]} given back, but not held`);
  }

  flush(): boolean {
    const { used } = this;
    if (this.stopped) return false;
    if (this.inOrder !== null) this.unpublished = this.inOrder.put(used);
    const entries = used.unpublished;
    if (entries === 0) return false;
    this.memory.refresh();
    used.publish();
    this.holdings.published(entries);
    this.counters.used += this.unpublished;
    this.unpublished = 0;
    const wanted = this.events.wanted(used.position, entries);
    if (wanted) this.counters.notified++;
    else this.counters.suppressed++;
    return wanted;
  }

  hasAvailable(): boolean {
    return !this.stopped && this.available.isAvailable();
  }

  disableNotifications(): void {
    if (!this.stopped && this.events.enabled) this.events.disable(this.available.position);
  }

  enableNotifications(): boolean {
    if (this.stopped) return false;
    this.events.enable(this.available.position);
    return this.available.isAvailable();
  }

  close(): void {
    this.stopped = true;
  }

  abstract save(): QueueState;

  /** The part of a state that both formats have. */
  protected saveCommon(): CommonQueueState {
    return {
      version: 1,
      size: this.size,
      outstanding: this.inOrder?.save() ?? this.available.heads().map((head) => this.saveChain(head)),
      unpublished: { heads: this.holdings.unpublished(), entries: this.used.unpublished },
      notifications: this.events.enabled,
      fault: this.fault?.code ?? null,
    };
  }

  /** Takes over the part of a checked state that both formats have: {@link holdings} has what is outstanding already. */
  protected restoreCommon(state: QueueState): void {
    const { outstanding, unpublished } = state;
    const { holdings } = this;
    this.held = outstanding.filter(({ written }) => written === null).length;
    for (const head of unpublished.heads) holdings.release(head);
    holdings.entries += unpublished.entries;
    this.inOrder?.restore(outstanding);
    this.unpublished = unpublished.heads.length;
    this.used.unpublished = unpublished.entries;
    this.events.enabled = state.notifications;
    if (state.fault === null) return;
    const code = state.fault as QueueFaultCode;
    this.fault = new QueueFault(code, `${code}: restored`);
    this.stopped = true;
  }

  private saveChain(head: number): OutstandingChain {
    return { head, descriptors: this.holdings.entriesOf(head), writableBytes: 0, written: null };
  }

  /** Empties a burst to be filled, and with it what can be rewound. */
  private clear(burst: ChainBurst): void {
    if (burst.memory !== this.memory) {
      throw new QueueUsageError(
        "foreign-burst",
        "a burst over another memory than the queue's: make one over the queue's",
      );
    }
    burst.clear();
    this.fresh = 0;
  }

  /** Whether the device has taken a chain of that head, which may be any number, and not given it back. */
  private isHeld(head: number): boolean {
    return this.inOrder?.isHeld(head) ?? this.holdings.isHeld(head);
  }

  /** Takes up to `wanted` chains; stops before a malformed one. */
  private take(burst: ChainBurst, wanted: number): number {
    const { available } = this;
    const { walker } = available;
    walker.steps = 0;
    let chain = 0;
    while (chain < wanted) {
      chain = available.take(burst, chain, wanted);
      if (chain === wanted || walker.left === 0) break;
      if (!available.walk(burst, chain)) break;
      chain++;
    }
    return chain;
  }

  private failChain(): typeof QUEUE_MALFORMED {
    const { problem, value } = this.available.walker;
    return this.fail(problem, `${problem}: ${value}`);
  }

  private fail(code: QueueFaultCode, message: string): typeof QUEUE_MALFORMED {
    const fault = new QueueFault(code, message);
    this.fault = fault;
    this.stopped = true;
    this.counters.malformed++;
    this.onFault?.(fault);
    return QUEUE_MALFORMED;
  }
}
