/**
 * One pair of queues of a NIC while a driver uses it: VIRTIO 1.4, 5.1.2. Either queue may be away: not enabled, reset, or
 * stopped for a while.
 * @module
 */

import type { FrameBurst } from "@virtio-ts/net-link";
import type { ActivationContext, ActiveQueue } from "@virtio-ts/virtio-device";
import { transmits } from "../layout/index.ts";
import type { NetCounters } from "./counters.ts";
import { Receiver, type ReceiverConfig } from "./receive.ts";
import { type Outlet, Transmitter, type TransmitterConfig } from "./transmit.ts";

/** What was negotiated of both ways. */
export interface PairConfig {
  readonly receive: ReceiverConfig;
  readonly transmit: TransmitterConfig;
}

/** One pair of queues. */
export class QueuePair {
  readonly #outlet: Outlet;
  readonly #counters: NetCounters;
  #transmitter: Transmitter | null = null;
  #receiver: Receiver | null = null;
  /** Frames came while the device rested: they wait at the peer. */
  #kept = false;

  constructor(outlet: Outlet, counters: NetCounters) {
    this.#outlet = outlet;
    this.#counters = counters;
  }

  /** One of its queues starts. */
  start(context: ActivationContext, active: ActiveQueue, config: PairConfig): void {
    if (transmits(active.index)) {
      this.#transmitter = new Transmitter(context, active, this.#outlet, this.#counters, config.transmit);
    } else {
      this.#receiver = new Receiver(context, active, this.#counters, config.receive);
    }
  }

  /** Queue `index` of it stops. */
  stop(index: number): void {
    if (transmits(index)) this.#dropTransmitter();
    else this.#dropReceiver();
  }

  /** The driver is gone. */
  reset(): void {
    this.#dropTransmitter();
    this.#dropReceiver();
  }

  /** The driver made buffers available in queue `index` of it. */
  notified(index: number): void {
    if (transmits(index)) this.#transmitter?.notified();
    if (this.#receiver?.kicked(!transmits(index)) || this.#kept) this.#resumePeer();
  }

  /** Takes frames for the driver; see `NetPort.take`. */
  take(burst: FrameBurst, first: number): number {
    if (this.#receiver !== null) return this.#receiver.take(burst, first);
    this.#counters.dropped.rxNotReady += burst.count - first;
    return burst.count;
  }

  /** Frames came while the device rests: whoever sends them is asked to try again afterwards. */
  keep(): void {
    this.#kept = true;
  }

  /** Sends what there is to send: the link has room, or is another. */
  transmit(): void {
    this.#transmitter?.resume();
  }

  /** Gives back what was sent. */
  publish(): void {
    this.#transmitter?.publish();
  }

  #dropTransmitter(): void {
    this.#transmitter?.stop();
    this.#transmitter = null;
  }

  /** Who waits for the driver's buffers waits no longer. */
  #dropReceiver(): void {
    const waiting = this.#receiver?.waiting === true || this.#kept;
    this.#receiver = null;
    if (waiting) this.#resumePeer();
  }

  #resumePeer(): void {
    this.#kept = false;
    this.#outlet.resumePeer();
  }
}
