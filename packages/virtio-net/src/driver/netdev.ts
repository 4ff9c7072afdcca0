/**
 * A network device as its user has it: the operations of Unikraft's `uk_netdev_ops` and its queues, whatever NIC or
 * driver is behind them. {@link NetDriver} is one; another driver that implements this serves the same users.
 *
 * What is refused throws a `DriverError` whose `errno` is uknetdev's; the answers of the hot path are numbers.
 * @module
 */

import type { RxCounters, TxCounters } from "./counters.ts";
import type { NetdevInfo, NetdevQueueInfo } from "./info.ts";
import type { NetbufPool } from "./netbuf-pool.ts";
import type { PacketBurst } from "./packet-burst.ts";
import type { ReceiveBuffers } from "./receive-ring.ts";
import type { NetdevState } from "./status.ts";

/** How a receive queue is set up. */
export interface RxQueueOptions extends ReceiveBuffers {
  /**
   * Told that packets have come, once for each time that interrupts were enabled, in the host's interrupt delivery.
   * Interrupts of the queue are off then; {@link RxQueue.rxOne} turns them on again. What it throws fails the driver:
   * see `NetDriverOptions.onFailure`.
   */
  readonly onEvent?: (queue: RxQueue) => void;
}

/** One receive queue. */
export interface RxQueue {
  /** Its number among the receive queues. */
  readonly id: number;
  /** Its entries. */
  readonly size: number;
  /** Where its buffers come from. */
  readonly pool: NetbufPool;
  /** The packet that {@link rxOne} has received last, if it said so: the caller's, to be given back to the pool. */
  readonly packet: number;
  /** What `allocate` has thrown last, since the driver was started; `null` where it has not: see UNDERRUN. */
  readonly allocateError: unknown;
  /** Counters, live. */
  readonly counters: Readonly<RxCounters>;
  /**
   * Receives one packet, into {@link packet}. Interrupts of the queue must not be on, see {@link interruptEnable}.
   * @returns as {@link rxBurst}
   */
  rxOne(): number;
  /**
   * Receives packets into `burst`, which is emptied first: they are the caller's, to be given back to the pool. Then
   * fills the queue up. Where the caller wants to be told of packets, and there is none left, interrupts are on again
   * when this returns.
   * @param max packets; as many as there is room for by default
   * @returns `NETDEV_STATUS_SUCCESS` with at least one packet, and `NETDEV_STATUS_MORE` beside it while there are more;
   * 0 without; either with `NETDEV_STATUS_UNDERRUN` when buffers were lacking. `NETDEV_EINVAL` when there were only
   * packets to be dropped, or the call is not allowed now, as from within another that fills the same burst;
   * `NETDEV_EIO`
   */
  rxBurst(burst: PacketBurst, max?: number): number;
  /**
   * Asks to be told of packets by `onEvent`.
   * @returns 0 when interrupts are on; 1 when packets are there already: then they are to be received first, and
   * interrupts come on by themselves once there are none left
   * @throws DriverError `invalid` while frames do not flow; `not-supported` without an `onEvent`
   */
  interruptEnable(): 0 | 1;
  /** Asks not to be told of packets. @throws DriverError `invalid` while frames do not flow */
  interruptDisable(): void;
}

/** How a transmit queue is set up. */
export interface TxQueueOptions {
  /** Where its packets come from, and go back to. */
  readonly pool: NetbufPool;
}

/** One transmit queue. */
export interface TxQueue {
  /** Its number among the transmit queues. */
  readonly id: number;
  /** Its entries. */
  readonly size: number;
  /** Where its packets come from. */
  readonly pool: NetbufPool;
  /** Counters, live. */
  readonly counters: Readonly<TxCounters>;
  /**
   * Hands one packet to the device.
   * @returns as {@link txBurst}
   */
  txOne(packet: number): number;
  /**
   * Hands packets to the device, in order, from `burst.next` on, which moves past those that were taken; they belong to
   * the driver, which gives them back to the pool. Those from `burst.next` on stay with the caller. One that is in a
   * ring already, or has a buffer that is, is not acceptable.
   * @returns `NETDEV_STATUS_SUCCESS` where at least one was taken, with `NETDEV_STATUS_MORE` while there is room; 0 when
   * the queue is full; `NETDEV_EINVAL` when the next packet is not acceptable or frames do not flow, `NETDEV_EIO`
   */
  txBurst(burst: PacketBurst): number;
  /**
   * Gives packets that the device has used back to the pool. Transmitting does so by itself; this is for who waits.
   * @returns packets the device still has
   */
  reclaim(): number;
}

/** The operations of a network device. Those that may be left out are the optional ones of `uk_netdev_ops`. */
export interface Netdev {
  /** One of `NETDEV_*`. */
  readonly state: NetdevState;
  /** UNPROBED to UNCONFIGURED: talks to the device for the first time. */
  probe(): Promise<void>;
  /** UNCONFIGURED to CONFIGURED: says how many queues there are to be. */
  configure(rxQueues: number, txQueues: number): void;
  /** What receive queue `id` can be. */
  rxqInfo(id: number): NetdevQueueInfo;
  /** What transmit queue `id` can be. */
  txqInfo(id: number): NetdevQueueInfo;
  /** Sets receive queue `id` up. @param entries 0 for as many as there can be */
  rxqConfigure(id: number, entries: number, options: RxQueueOptions): RxQueue;
  /** Sets transmit queue `id` up. @param entries 0 for as many as there can be */
  txqConfigure(id: number, entries: number, options: TxQueueOptions): TxQueue;
  /** CONFIGURED to RUNNING: packets flow, with interrupts off. */
  start(): Promise<void>;
  /** What can be had of the device. */
  info(): NetdevInfo;
  /** The largest IP packet that is sent, bytes. */
  readonly mtu: number;
  /** Sets it. */
  setMtu?(mtu: number): void;
  /** Whether frames for others are asked for as well. */
  readonly promiscuous: boolean;
  /** Asks for frames for others as well, or not any more. */
  setPromiscuous?(on: boolean): Promise<void>;
  /** The device's address, 6 bytes. */
  readonly hwaddr?: Uint8Array;
  /** Sets it. */
  setHwaddr?(mac: Uint8Array): Promise<void>;
}
