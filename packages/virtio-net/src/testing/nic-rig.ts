/**
 * A NIC, its state machine and both its queues with fast drivers, between a source and a sink of frames, for benchmarks
 * of the device's own cost.
 * @module
 */

import { type NetPort, OFFLOAD_ALL } from "@virtio-ts/net-link";
import { feature, VIRTIO_F_EVENT_IDX, VIRTIO_F_VERSION_1 } from "@virtio-ts/virtio-bindings";
import { DeviceCore, type DeviceCoreOptions, noopInterrupts } from "@virtio-ts/virtio-device";
import { GuestMemory } from "@virtio-ts/vm-memory";
import { NetDevice } from "../device/index.ts";
import {
  transmitQueue,
  VIRTIO_NET_F_CSUM,
  VIRTIO_NET_F_GUEST_CSUM,
  VIRTIO_NET_F_GUEST_TSO4,
  VIRTIO_NET_F_HOST_TSO4,
  VIRTIO_NET_F_MRG_RXBUF,
} from "../layout/index.ts";
import { NicRings, type NicRingsOptions } from "./nic-rings.ts";

/** The part of a transport that drives a NIC. */
export interface RigTransport {
  /** The state machine behind it. */
  readonly core: DeviceCore;
  /** The driver's notification of a queue, through the transport. */
  kick(queue: number): void;
}

/** Options of a {@link NicRig}. */
export interface NicRigOptions extends NicRingsOptions {
  /** Puts the NIC behind a transport; without it the rig kicks the state machine directly. */
  readonly transport?: (nic: NetDevice, machine: Pick<DeviceCoreOptions, "memory" | "scheduler">) => RigTransport;
}

/** A NIC in use. */
export class NicRig {
  /** The NIC. */
  readonly nic: NetDevice;
  /** Its state machine. */
  readonly core: DeviceCore;
  /** Its memory, rings and frames. */
  readonly rings: NicRings;
  readonly #kick: (queue: number) => void;

  constructor(options: NicRigOptions) {
    this.rings = new NicRings(options);
    const { region, tx } = this.rings;
    const memory = new GuestMemory([region]);
    this.nic = new NetDevice({ queueSize: tx.areas.size });
    const sink: NetPort = { accepts: OFFLOAD_ALL, take: (taken) => taken.count, resume() {} };
    this.nic.attach(sink);
    const { core, kick } = (options.transport ?? direct)(this.nic, { memory, scheduler: { defer: (task) => task() } });
    this.core = core;
    this.#kick = kick;
    this.#start();
  }

  /** Transmits `frames` frames, in bursts. */
  transmit(frames: number): void {
    const { tx, burst } = this.rings;
    for (let left = frames; left > 0; left -= burst) {
      tx.offer(Math.min(left, burst));
      this.#kick(transmitQueue(0));
    }
    if (tx.pending !== 0) throw new Error(`${tx.pending} frames were not sent`);
  }

  /** Receives `frames` frames, rounded up to whole bursts. */
  receive(frames: number): void {
    const { rx, burst, buffersPerFrame, frames: source } = this.rings;
    for (let left = frames; left > 0; left -= burst) {
      rx.offer(burst * buffersPerFrame);
      this.nic.take(source, 0);
    }
    if (rx.pending !== 0) throw new Error(`${rx.pending} receive buffers were not used`);
  }

  #start(): void {
    const { core } = this;
    const { rx, tx } = this.rings;
    const features = feature(
      VIRTIO_F_VERSION_1,
      VIRTIO_F_EVENT_IDX,
      VIRTIO_NET_F_MRG_RXBUF,
      VIRTIO_NET_F_CSUM,
      VIRTIO_NET_F_HOST_TSO4,
      VIRTIO_NET_F_GUEST_CSUM,
      VIRTIO_NET_F_GUEST_TSO4,
    );
    core.writeDriverFeatures(0, Number(features & 0xffff_ffffn));
    core.writeDriverFeatures(1, Number(features >> 32n));
    core.writeStatus(11);
    for (const [index, ring] of [rx, tx].entries()) {
      core.queueSelect = index;
      const queue = core.queues[index];
      queue.setAddress(0, ring.areas.descriptorArea);
      queue.setAddress(1, ring.areas.driverArea);
      queue.setAddress(2, ring.areas.deviceArea);
      core.enableQueue();
    }
    core.writeStatus(15);
    if (core.status !== 15) throw new Error(`the device did not start: status ${core.status}`);
  }
}

function direct(nic: NetDevice, machine: Pick<DeviceCoreOptions, "memory" | "scheduler">): RigTransport {
  const core = new DeviceCore(nic, { ...machine, interrupts: noopInterrupts });
  return { core, kick: (queue) => core.notify(queue) };
}
