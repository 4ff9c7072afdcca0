/**
 * A network device as its user sees it: the operations of Unikraft's `uk_netdev_ops` and its queues, independent of the
 * NIC and the driver. {@link NetDriver} implements it; another driver that implements it serves the same users.
 *
 * Calls that are refused throw a `DriverError` whose `errno` is uknetdev's; the hot path returns numbers.
 * @module
 */

import type { RxCounters, TxCounters } from "./counters.ts";
import type { NetdevInfo, NetdevQueueInfo } from "./info.ts";
import type { NetbufPool } from "./netbuf-pool.ts";
import type { PacketBurst } from "./packet-burst.ts";
import type { ReceiveBuffers } from "./receive-ring.ts";
import type { NetdevState } from "./status.ts";

/** Options of a receive queue. */
export interface RxQueueOptions extends ReceiveBuffers {
  /**
   * Called when packets have come, once each time that interrupts were enabled, in the host's interrupt delivery. The
   * queue's interrupts are then off; {@link RxQueue.rxOne} turns them on again. If it throws, the driver fails: see
   * `NetDriverOptions.onFailure`.
   */
  readonly onEvent?: (queue: RxQueue) => void;
}

/** One receive queue. */
export interface RxQueue {
  /** Its number among the receive queues. */
  readonly id: number;
  /** Its entries. */
  readonly size: number;
  /** The pool of its buffers. */
  readonly pool: NetbufPool;
  /**
   * The packet that {@link rxOne} last received, if it succeeded. It belongs to the caller, who must return it to the
   * pool.
   */
  readonly packet: number;
  /** The last error that `allocate` threw since the driver was started; `null` if none: see UNDERRUN. */
  readonly allocateError: unknown;
  /** Counters, live. */
  readonly counters: Readonly<RxCounters>;
  /**
   * Receives one packet into {@link packet}. Interrupts of the queue must be off, see {@link interruptEnable}.
   * @returns as {@link rxBurst}
   */
  rxOne(): number;
  /**
   * Receives packets into `burst`, which is emptied first. They belong to the caller, who must return them to the pool.
   * Then refills the queue. If the caller has enabled interrupts and no packet is left, they are on again when this
   * returns.
   * @param max packets; by default as many as fit
   * @returns `NETDEV_STATUS_SUCCESS` with at least one packet, plus `NETDEV_STATUS_MORE` while there are more; 0
   * without a packet; either plus `NETDEV_STATUS_UNDERRUN` if buffers were lacking. `NETDEV_EINVAL` if all packets were
   * dropped, or the call is not allowed now, as from within another call that fills the same burst; `NETDEV_EIO`
   */
  rxBurst(burst: PacketBurst, max?: number): number;
  /**
   * Enables calls of `onEvent` for packets.
   * @returns 0 if interrupts are on; 1 if packets are pending: receive them first, then interrupts turn on once none is
   * left
   * @throws DriverError `invalid` while frames do not flow; `not-supported` without an `onEvent`
   */
  interruptEnable(): 0 | 1;
  /** Disables calls of `onEvent`. @throws DriverError `invalid` while frames do not flow */
  interruptDisable(): void;
}

/** Options of a transmit queue. */
export interface TxQueueOptions {
  /** The pool of its packets; they return to it. */
  readonly pool: NetbufPool;
}

/** One transmit queue. */
export interface TxQueue {
  /** Its number among the transmit queues. */
  readonly id: number;
  /** Its entries. */
  readonly size: number;
  /** The pool of its packets. */
  readonly pool: NetbufPool;
  /** Counters, live. */
  readonly counters: Readonly<TxCounters>;
  /**
   * Passes one packet to the device.
   * @returns as {@link txBurst}
   */
  txOne(packet: number): number;
  /**
   * Passes packets to the device, in order, from `burst.next` on, and moves `burst.next` past those that were taken.
   * These belong to the driver, which returns them to the pool; the others stay with the caller. A packet with a buffer
   * in a ring is not acceptable.
   * @returns `NETDEV_STATUS_SUCCESS` if at least one was taken, plus `NETDEV_STATUS_MORE` while there is room; 0 if the
   * queue is full; `NETDEV_EINVAL` if the next packet is not acceptable or frames do not flow, `NETDEV_EIO`
   */
  txBurst(burst: PacketBurst): number;
  /**
   * Returns used packets to the pool. Transmitting does this too; call it while waiting.
   * @returns packets that the device still has
   */
  reclaim(): number;
}

/** The operations of a network device. The optional ones are those of `uk_netdev_ops`. */
export interface Netdev {
  /** One of `NETDEV_*`. */
  readonly state: NetdevState;
  /** UNPROBED to UNCONFIGURED: first contact with the device. */
  probe(): Promise<void>;
  /** UNCONFIGURED to CONFIGURED: sets the number of queues. */
  configure(rxQueues: number, txQueues: number): void;
  /** Limits of receive queue `id`. */
  rxqInfo(id: number): NetdevQueueInfo;
  /** Limits of transmit queue `id`. */
  txqInfo(id: number): NetdevQueueInfo;
  /** Sets receive queue `id` up. @param entries 0 for the maximum */
  rxqConfigure(id: number, entries: number, options: RxQueueOptions): RxQueue;
  /** Sets transmit queue `id` up. @param entries 0 for the maximum */
  txqConfigure(id: number, entries: number, options: TxQueueOptions): TxQueue;
  /** CONFIGURED to RUNNING: packets flow, with interrupts off. */
  start(): Promise<void>;
  /** Limits and offloads of the device. */
  info(): NetdevInfo;
  /** The largest IP packet to transmit, bytes. */
  readonly mtu: number;
  /** Sets the MTU. */
  setMtu?(mtu: number): void;
  /** Whether the device also receives frames for others. */
  readonly promiscuous: boolean;
  /** Whether to receive frames for others too. */
  setPromiscuous?(on: boolean): Promise<void>;
  /** The device's address, 6 bytes. */
  readonly hwaddr?: Uint8Array;
  /** Sets the address. */
  setHwaddr?(mac: Uint8Array): Promise<void>;
}
