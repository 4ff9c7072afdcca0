/**
 * The driver of a NIC, with the life cycle of Unikraft's uknetdev: probe, configure, set up queues, start (VIRTIO 1.4,
 * 5.1). For users with their own network stack: a unikernel, a test bench, a page.
 * @module
 */

import { DriverError, type DriverHost, type DriverTransport } from "@virtio-ts/virtio-driver";
import {
  MTU_MIN,
  receiveQueue,
  transmitQueue,
  VIRTIO_NET_F_CTRL_RX,
  VIRTIO_NET_F_SPEED_DUPLEX,
} from "../layout/index.ts";
import type { NetdevExtraInfo, NetdevInfo, NetdevQueueInfo } from "./info.ts";
import type { OpenNic } from "./negotiation.ts";
import { isUnicast, randomMac } from "./net-config.ts";
import type { Netdev, RxQueue, RxQueueOptions, TxQueue, TxQueueOptions } from "./netdev.ts";
import { type NetDriverOptions, NicLives } from "./nic-lives.ts";
import { checkCapacity, checkEntries, queueInfo } from "./queue-shape.ts";
import { canSetMac } from "./running-nic.ts";
import { NicRxQueue } from "./rx-queue.ts";
import {
  NETDEV_CONFIGURED,
  NETDEV_INVALID,
  NETDEV_RUNNING,
  NETDEV_UNCONFIGURED,
  NETDEV_UNPROBED,
  type NetdevState,
} from "./status.ts";
import { NicTxQueue } from "./tx-queue.ts";

/** A NIC in use. Calls that are refused throw a {@link DriverError} whose `errno` is uknetdev's. */
export class NetDriver implements Netdev {
  /** The transport that reaches the NIC. */
  readonly transport: DriverTransport;
  readonly #lives: NicLives;
  #state: NetdevState = NETDEV_UNPROBED;
  /** An asynchronous call is in flight. */
  #busy = false;
  #rxqs: (NicRxQueue | null)[] = [];
  #txqs: (NicTxQueue | null)[] = [];
  #mac: Uint8Array = new Uint8Array(6);
  #mtu = 0;
  #promiscuous = false;

  /** A driver for the NIC behind `transport`, which is not touched before {@link probe}. */
  constructor(transport: DriverTransport, host: DriverHost, options: NetDriverOptions = {}) {
    this.transport = transport;
    this.#lives = new NicLives(transport, host, options);
  }

  /** One of `NETDEV_*`. */
  get state(): NetdevState {
    return this.#state;
  }

  // -- the life cycle

  /**
   * Resets the NIC, negotiates features, and reads its address. UNPROBED to UNCONFIGURED.
   * @throws DriverError `invalid` in another state, `busy`; `bad-device` for a device of another type; `no-version-1`,
   * `features-refused`, `timeout`, `device-gone`
   */
  probe(): Promise<void> {
    return this.#alone(NETDEV_UNPROBED, async () => {
      const nic = await this.#lives.probe();
      this.#mac = nic.mac ?? randomMac();
      this.#mtu = nic.maxMtu;
      this.#state = NETDEV_UNCONFIGURED;
    });
  }

  /**
   * Sets the number of queues. UNCONFIGURED to CONFIGURED.
   * @throws DriverError `invalid` in another state, or for an impossible number of queues; `not-supported` for unequal
   * numbers: queues of a virtio NIC come in pairs
   */
  configure(rxQueues: number, txQueues: number): void {
    const { maxPairs } = this.#probed(NETDEV_UNCONFIGURED);
    for (const count of [rxQueues, txQueues]) {
      if (!Number.isInteger(count) || count < 1 || count > maxPairs) {
        throw new DriverError("invalid", `${rxQueues} receive and ${txQueues} transmit queues of ${maxPairs} each`);
      }
    }
    if (rxQueues !== txQueues) {
      throw new DriverError("not-supported", `${rxQueues} receive queues with ${txQueues} transmit queues`);
    }
    this.#rxqs = new Array<NicRxQueue | null>(rxQueues).fill(null);
    this.#txqs = new Array<NicTxQueue | null>(txQueues).fill(null);
    this.#state = NETDEV_CONFIGURED;
  }

  /** Limits of receive queue `id`. @throws DriverError `invalid` for an impossible queue, or before {@link probe} */
  rxqInfo(id: number): NetdevQueueInfo {
    return queueInfo(this.transport, this.#probed(), id, receiveQueue(id));
  }

  /** Limits of transmit queue `id`. @throws DriverError `invalid` for an impossible queue, or before {@link probe} */
  txqInfo(id: number): NetdevQueueInfo {
    return queueInfo(this.transport, this.#probed(), id, transmitQueue(id));
  }

  /**
   * Sets receive queue `id` up. It works while the driver runs, and outlives `stop` and `start`.
   * @param entries a power of two; 0 for the maximum
   * @throws DriverError `invalid` unless CONFIGURED, for a queue that does not exist, an impossible number of entries,
   * or buffers that are too few or too small for a packet of `maxMtu`; `busy` for a queue that is set up already;
   * `too-many-entries`
   */
  rxqConfigure(id: number, entries: number, options: RxQueueOptions): RxQueue {
    const nic = this.#probed(NETDEV_CONFIGURED);
    checkUnset(this.#rxqs, id, "receive");
    if (typeof options.allocate !== "function") {
      throw new DriverError("invalid", `receive queue ${id} without a function that allocates its buffers`);
    }
    const size = checkEntries(this.rxqInfo(id), entries, `receive queue ${id}`);
    checkCapacity(nic, size, options.pool, `receive queue ${id}`);
    const queue = new NicRxQueue(id, size, options, nic.framing);
    this.#rxqs[id] = queue;
    return queue;
  }

  /** {@link rxqConfigure} for a transmit queue. @throws DriverError likewise */
  txqConfigure(id: number, entries: number, options: TxQueueOptions): TxQueue {
    const nic = this.#probed(NETDEV_CONFIGURED);
    checkUnset(this.#txqs, id, "transmit");
    const size = checkEntries(this.txqInfo(id), entries, `transmit queue ${id}`);
    const queue = new NicTxQueue(id, size, options, nic.framing, this);
    this.#txqs[id] = queue;
    return queue;
  }

  /**
   * Lets packets flow, with interrupts off. CONFIGURED to RUNNING. If it fails, nothing has changed.
   * @throws DriverError `invalid` in another state, or while a queue is not set up; `busy`; `no-memory`; any error of
   * the device
   */
  start(): Promise<void> {
    return this.#alone(NETDEV_CONFIGURED, async () => {
      const rxqs = this.#rxqs.filter((queue) => queue !== null);
      const txqs = this.#txqs.filter((queue) => queue !== null);
      const missing = 2 * this.#rxqs.length - rxqs.length - txqs.length;
      if (missing > 0) throw new DriverError("invalid", `${missing} queues are not set up`);
      await this.#lives.start(rxqs, txqs, { mac: this.#mac, promiscuous: this.#promiscuous });
      this.#state = NETDEV_RUNNING;
    });
  }

  /**
   * Resets the NIC, and returns its buffers to their pools. RUNNING to CONFIGURED, from where it can be started again,
   * after a failure too.
   * @throws DriverError `invalid` in another state, `busy`; `timeout` if the NIC does not finish its reset: it keeps
   * its buffers until `start` or `destroy` succeeds
   */
  stop(): Promise<void> {
    return this.#alone(NETDEV_RUNNING, async () => {
      this.#state = NETDEV_CONFIGURED;
      await this.#lives.close();
    });
  }

  /** Releases the NIC for good, from any state. @throws DriverError `busy`; `timeout` as {@link stop} */
  destroy(): Promise<void> {
    return this.#alone(this.#state, async () => {
      await this.#lives.end();
      this.#state = NETDEV_INVALID;
    });
  }

  // -- information and settings

  /** Limits and offloads of the NIC. @throws DriverError `invalid` before {@link probe} */
  info(): NetdevInfo {
    const { framing, maxMtu, maxPairs } = this.#probed();
    return {
      maxRxQueues: maxPairs,
      maxTxQueues: maxPairs,
      maxMtu,
      minMtu: MTU_MIN,
      alignment: 1,
      txHeadroom: framing.headerSize,
      rxHeadroom: framing.headerSize,
      rxInterrupts: true,
      txOffloads: framing.transmitOffloads,
      rxOffloads: framing.receiveOffloads,
    };
  }

  /** Further information on a virtio NIC, current. @throws DriverError `invalid` before {@link probe} */
  einfo(): NetdevExtraInfo {
    const { device, config, framing, mac } = this.#probed();
    const timed = device.has(VIRTIO_NET_F_SPEED_DUPLEX);
    return {
      features: device.features,
      headerSize: framing.headerSize,
      macGiven: mac !== null,
      linkUp: this.linkUp,
      speed: timed ? config.speed : null,
      duplex: timed ? config.duplex : null,
    };
  }

  /** Whether the link is up, as last read from the NIC. */
  get linkUp(): boolean {
    return this.#lives.linkUp;
  }

  /**
   * The NIC's address, 6 bytes: its own, or a locally administered one if it has none. Six zeros before {@link probe}.
   */
  get hwaddr(): Uint8Array {
    return this.#mac.slice();
  }

  /**
   * Sets the address; it outlives `stop` and `start`.
   * @throws DriverError `invalid` for an invalid address, or before {@link probe}; `not-supported`; `refused`,
   * `timeout`, ...
   */
  async setHwaddr(mac: Uint8Array): Promise<void> {
    if (!canSetMac(this.#probed())) throw new DriverError("not-supported", "the NIC's address can't be set");
    if (!isUnicast(mac))
      throw new DriverError(
        "invalid",
        `address ${typeof mac === "string" ? JSON.stringify(mac) : `[${String(mac)}]`}: expected a Uint8Array of 6 bytes, unicast`,
      );
    await this.#lives.running?.setMac(mac);
    this.#mac = mac.slice();
  }

  /** The largest IP packet to transmit, bytes; 0 before {@link probe}. */
  get mtu(): number {
    return this.#mtu;
  }

  /** Sets the MTU. @throws DriverError `invalid` outside the limits of {@link info}, or before {@link probe} */
  setMtu(mtu: number): void {
    const { maxMtu } = this.#probed();
    if (!Number.isInteger(mtu) || mtu < MTU_MIN || mtu > maxMtu) {
      throw new DriverError("invalid", `MTU ${mtu} is not in ${MTU_MIN}..${maxMtu}`);
    }
    this.#mtu = mtu;
  }

  /** Whether the NIC also receives frames for others. */
  get promiscuous(): boolean {
    return this.#promiscuous;
  }

  /**
   * Whether to receive frames for others too; it outlives `stop` and `start`.
   * @throws DriverError `invalid` before {@link probe}; `not-supported`; `refused`, `timeout`, ...
   */
  async setPromiscuous(on: boolean): Promise<void> {
    if (!this.#probed().device.has(VIRTIO_NET_F_CTRL_RX)) {
      throw new DriverError("not-supported", "the NIC's receive mode can't be set");
    }
    await this.#lives.running?.setPromiscuous(on);
    this.#promiscuous = on;
  }

  /** The NIC after the probe. @param state the required state; by default any from UNCONFIGURED on */
  #probed(state: NetdevState = this.#state): OpenNic {
    const { nic } = this.#lives;
    if (nic === null || this.#state < NETDEV_UNCONFIGURED || this.#state !== state) {
      throw new DriverError("invalid", `not in state ${this.#state}`);
    }
    return nic;
  }

  /** Allows one asynchronous call at a time. */
  async #alone(state: NetdevState, action: () => Promise<void>): Promise<void> {
    if (this.#busy) throw new DriverError("busy", "another call is under way");
    if (this.#state !== state) throw new DriverError("invalid", `in state ${this.#state}, not ${state}`);
    this.#busy = true;
    try {
      await action();
    } finally {
      this.#busy = false;
    }
  }
}

function checkUnset(queues: readonly (object | null)[], id: number, kind: string): void {
  if (!Number.isInteger(id) || id < 0 || id >= queues.length) {
    throw new DriverError("invalid", `${kind} queue ${id} of ${queues.length}`);
  }
  if (queues[id] !== null) throw new DriverError("busy", `${kind} queue ${id} is set up already`);
}
