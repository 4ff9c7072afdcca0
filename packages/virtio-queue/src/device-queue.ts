/**
 * The device's half of a virtqueue, whatever its format: what devices are written against.
 * VIRTIO 1.4, 2.6 to 2.8.
 * @module
 */

import type { ChainBurst } from "./chain-burst.ts";
import type { QueueFault } from "./fault.ts";
import type { QueueState } from "./state.ts";

/** {@link DeviceQueue.pop}: nothing is available. {@link DeviceQueue.walkHeld}: no such chain is held. */
export const QUEUE_EMPTY = 0;
/** {@link DeviceQueue.pop}, {@link DeviceQueue.walkHeld}: malformed; the queue has stopped, see {@link DeviceQueue.fault}. */
export const QUEUE_MALFORMED = -1;

/** What a queue has counted since it was made. */
export interface QueueCounters {
  /** Chains taken, those rewound not counted. */
  chains: number;
  /** Used buffers published. */
  used: number;
  /** Used buffer notifications that the driver had asked for. */
  notified: number;
  /** Publications after which the driver had not asked for a notification. */
  suppressed: number;
  /** Malformed chains or rings met: each one stopped the queue. */
  malformed: number;
}

/**
 * The device's half of one virtqueue. Buffers are taken and given back in bursts:
 *
 * ```ts
 * queue.disableNotifications();
 * do {
 *   while (queue.pop(burst, 64) > 0) {
 *     for (let i = 0; i < burst.count; i++) burst.written[i] = handle(burst, i);
 *     queue.pushAll(burst);
 *     if (queue.flush()) notifier.notify();
 *   }
 * } while (queue.enableNotifications());
 * ```
 *
 * A device may hold a chain as long as it likes, and give chains back in any order. All it needs to keep of one is its
 * head: {@link push} gives it back by that, and {@link walkHeld} finds its segments again, after a restore too.
 *
 * No method throws, whatever the driver wrote into its rings.
 */
export interface DeviceQueue {
  /** Number of entries. */
  readonly size: number;
  /** Why the queue has stopped, or `null` while it runs. Only a reset of the queue brings it back. */
  readonly fault: QueueFault | null;
  /** Chains taken and not yet given back. */
  readonly outstanding: number;
  /** Counters, live. */
  readonly counters: Readonly<QueueCounters>;

  /**
   * Takes up to `max` available chains, in order, into `burst`, which is emptied first.
   * @returns how many were taken, {@link QUEUE_EMPTY} when none is available, {@link QUEUE_MALFORMED} when the
   * next one is malformed or the queue had stopped already. Chains before a malformed one are delivered first.
   * @throws QueueUsageError `foreign-burst`
   */
  pop(burst: ChainBurst, max: number): number;

  /**
   * Makes chains `[from, count)` of the burst taken last available again, and takes them out of it: the next `pop`
   * takes them anew. None of them may have been given back.
   */
  rewind(burst: ChainBurst, from: number): void;

  /**
   * Heads of all chains that are held: taken, and not given back. In the order they were taken in a packed ring and with
   * VIRTIO_F_IN_ORDER, else by number.
   */
  heldChains(): number[];

  /**
   * Walks a chain that is held once more, with all checks of {@link pop}, as the only one of `burst`, which is emptied
   * first. It is still to be given back once. What was popped before can't be rewound any more.
   * @param head the chain's `burst.heads[i]`, also from before a restore
   * @returns 1; {@link QUEUE_EMPTY} when no such chain is held; {@link QUEUE_MALFORMED} when the driver has changed it and
   * broke a rule by that, when memory it named is gone, or when the queue had stopped already
   * @throws QueueUsageError `foreign-burst`
   */
  walkHeld(burst: ChainBurst, head: number): number;

  /**
   * Gives one chain back. The driver does not see it before {@link flush}.
   * @param head the chain's `burst.heads[i]`
   * @param written bytes written into its device-writable part, from its start
   */
  push(head: number, written: number): void;

  /**
   * Gives chains `[from, to)` of a burst back, each with its `burst.written[i]`: {@link push} for many at once.
   * @param to all that follow without it
   */
  pushAll(burst: ChainBurst, from?: number, to?: number): void;

  /**
   * Publishes everything pushed since the last call, at once.
   * @returns whether the driver wants to be notified of it
   */
  flush(): boolean;

  /** Whether a chain is available now. Reads the ring's index only. */
  hasAvailable(): boolean;

  /** Asks the driver not to send available buffer notifications: a mere hint, saves exits while polling. */
  disableNotifications(): void;

  /**
   * Asks the driver for available buffer notifications again, then looks once more.
   * @returns whether something became available meanwhile: then take it, for its notification may never come
   */
  enableNotifications(): boolean;

  /**
   * Ends the queue's life, for a reset: nothing is taken, written or published any more, and no fault is raised. What
   * a device still gives back afterwards is forgotten.
   */
  close(): void;

  /**
   * The queue's position as plain data. Used elements that were pushed but not flushed are in the ring already: guest
   * memory belongs to the snapshot.
   */
  save(): QueueState;
}
