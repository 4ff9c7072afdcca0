/**
 * One pair of queues of a NIC in use: VIRTIO 1.4, 5.1.2. Either queue may be missing: not enabled, reset, or stopped
 * for a while.
 * @module
 */

import type { FrameBurst } from "@virtio-ts/net-link";
import type { ActivationContext, ActiveQueue } from "@virtio-ts/virtio-device";
import { transmits } from "../layout/index.ts";
import type { NetCounters } from "./counters.ts";
import { Receiver, type ReceiverConfig } from "./receive.ts";
import { type Outlet, Transmitter, type TransmitterConfig } from "./transmit.ts";

/** The negotiated configuration of both directions. */
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
  /** Frames came while the device was resting: they wait at the peer. */
  #kept = false;

  constructor(outlet: Outlet, counters: NetCounters) {
    this.#outlet = outlet;
    this.#counters = counters;
  }

  /** One queue of the pair starts. */
  start(context: ActivationContext, active: ActiveQueue, config: PairConfig): void {
    if (transmits(active.index)) {
      this.#transmitter = new Transmitter(context, active, this.#outlet, this.#counters, config.transmit);
    } else {
      this.#receiver = new Receiver(context, active, this.#counters, config.receive);
    }
  }

  /** Queue `index` of the pair stops. */
  stop(index: number): void {
    if (transmits(index)) this.#dropTransmitter();
    else this.#dropReceiver();
  }

  /** The driver is gone. */
  reset(): void {
    this.#dropTransmitter();
    this.#dropReceiver();
  }

  /** The driver made buffers available in queue `index` of the pair. */
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

  /** Frames came while the device was resting: their sender is told to try again afterwards. */
  keep(): void {
    this.#kept = true;
  }

  /** Sends the available frames: the link has room, or has changed. */
  transmit(): void {
    this.#transmitter?.resume();
  }

  /** Returns the sent buffers. */
  publish(): void {
    this.#transmitter?.publish();
  }

  #dropTransmitter(): void {
    this.#transmitter?.stop();
    this.#transmitter = null;
  }

  /** A sender that waits for the driver's buffers must wait no longer. */
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
