/**
 * A NIC, its state machine and both its queues with fast drivers, between a source and a sink of frames, for benchmarks
 * of the device's own cost.
 * @module
 */

import { FrameBurst, GSO_NONE, GSO_TCPV4, HDR_F_NEEDS_CSUM, type NetPort, OFFLOAD_ALL } from "@virtio-ts/net-link";
import { feature, VIRTIO_F_EVENT_IDX, VIRTIO_F_VERSION_1 } from "@virtio-ts/virtio-bindings";
import { DeviceCore, type DeviceCoreOptions, noopInterrupts } from "@virtio-ts/virtio-device";
import { GuestMemory, MemoryRegion } from "@virtio-ts/vm-memory";
import { NetDevice } from "../device/index.ts";
import {
  HDR_CSUM_OFFSET,
  HDR_CSUM_START,
  HDR_FLAGS,
  HDR_GSO_SIZE,
  HDR_GSO_TYPE,
  HDR_HDR_LEN,
  HDR_SIZE,
  transmitQueue,
  VIRTIO_NET_F_CSUM,
  VIRTIO_NET_F_GUEST_CSUM,
  VIRTIO_NET_F_GUEST_TSO4,
  VIRTIO_NET_F_HOST_TSO4,
  VIRTIO_NET_F_MRG_RXBUF,
} from "../layout/index.ts";
import { FastRing } from "./fast-ring.ts";

/** The part of a transport that drives a NIC. */
export interface RigTransport {
  /** The state machine behind it. */
  readonly core: DeviceCore;
  /** The driver's notification of a queue, through the transport. */
  kick(queue: number): void;
}

/** Options of a {@link NicRig}. */
export interface NicRigOptions {
  /** Puts the NIC behind a transport; without it the rig kicks the state machine directly. */
  readonly transport?: (nic: NetDevice, machine: Pick<DeviceCoreOptions, "memory" | "scheduler">) => RigTransport;
  /** Bytes of each frame; a frame above 1514 is one TCP segment to be cut up. */
  readonly frameBytes: number;
  /** Frames passed at a time; 64 by default. */
  readonly burst?: number;
  /** Bytes of each receive buffer; 1536 by default. */
  readonly bufferBytes?: number;
  /** Entries of each queue; 256 by default. */
  readonly queueSize?: number;
}

const MEMORY = 64 << 20;
const RX_BASE = 0;
const TX_BASE = 0x4_0000;
const RX_BUFFERS = 0x8_0000;
const TX_BUFFERS = 0x180_0000;
/** Largest descriptor of a transmitted frame: as Linux cuts its socket buffers. */
const FRAGMENT = 32768;

/** A NIC in use. */
export class NicRig {
  /** The NIC. */
  readonly nic: NetDevice;
  /** Its state machine. */
  readonly core: DeviceCore;
  readonly #kick: (queue: number) => void;
  readonly #tx: FastRing;
  readonly #rx: FastRing;
  readonly #frames: FrameBurst;
  readonly #burst: number;
  readonly #perFrame: number;

  constructor(options: NicRigOptions) {
    const { frameBytes, burst = 64, bufferBytes = 1536, queueSize = 256 } = options;
    const region = new MemoryRegion(0, new Uint8Array(MEMORY));
    const memory = new GuestMemory([region]);
    const gso = frameBytes > 1514;
    const shape = [HDR_SIZE + Math.min(frameBytes, FRAGMENT)];
    for (let left = frameBytes - FRAGMENT; left > 0; left -= FRAGMENT) shape.push(Math.min(left, FRAGMENT));
    this.#tx = new FastRing(region, queueSize, TX_BASE, TX_BUFFERS, shape, false);
    this.#rx = new FastRing(region, queueSize, RX_BASE, RX_BUFFERS, [bufferBytes], true);
    this.#perFrame = Math.ceil((frameBytes + HDR_SIZE) / bufferBytes);
    this.#burst = Math.min(burst, this.#tx.chains, Math.floor(this.#rx.chains / this.#perFrame));
    const stride = Math.ceil((HDR_SIZE + frameBytes) / 64) * 64;
    for (let i = 0; i < this.#tx.chains; i++) {
      if (gso) writeGsoHeader(new DataView(region.u8.buffer, TX_BUFFERS + i * stride, HDR_SIZE));
    }
    this.#frames = sourceFrames(this.#burst, frameBytes, gso);
    this.nic = new NetDevice({ queueSize });
    const sink: NetPort = { accepts: OFFLOAD_ALL, take: (taken) => taken.count, resume() {} };
    this.nic.attach(sink);
    const { core, kick } = (options.transport ?? direct)(this.nic, { memory, scheduler: { defer: (task) => task() } });
    this.core = core;
    this.#kick = kick;
    this.#start();
  }

  /** Transmits `frames` frames, in bursts. */
  transmit(frames: number): void {
    for (let left = frames; left > 0; left -= this.#burst) {
      this.#tx.offer(Math.min(left, this.#burst));
      this.#kick(transmitQueue(0));
    }
    if (this.#tx.pending !== 0) throw new Error(`${this.#tx.pending} frames were not sent`);
  }

  /** Receives `frames` frames, rounded up to whole bursts. */
  receive(frames: number): void {
    for (let left = frames; left > 0; left -= this.#burst) {
      this.#rx.offer(this.#burst * this.#perFrame);
      this.nic.take(this.#frames, 0);
    }
    if (this.#rx.pending !== 0) throw new Error(`${this.#rx.pending} receive buffers were not used`);
  }

  #start(): void {
    const { core } = this;
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
    for (const [index, ring] of [this.#rx, this.#tx].entries()) {
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

/** Frames as a backend passes them: consecutive in one block of memory. */
function sourceFrames(count: number, length: number, gso: boolean): FrameBurst {
  const frames = new FrameBurst(count, count);
  const stride = Math.ceil(length / 64) * 64;
  const bytes = new Uint8Array(count * stride).map((_, i) => i * 7);
  for (let i = 0; i < count; i++) {
    frames.addSegment(bytes, i * stride, length);
    if (gso) frames.endFrame(HDR_F_NEEDS_CSUM, GSO_TCPV4, 54, 1460, 34, 16);
    else frames.endFrame(0, GSO_NONE);
  }
  return frames;
}

function writeGsoHeader(header: DataView): void {
  header.setUint8(HDR_FLAGS, HDR_F_NEEDS_CSUM);
  header.setUint8(HDR_GSO_TYPE, GSO_TCPV4);
  header.setUint16(HDR_HDR_LEN, 54, true);
  header.setUint16(HDR_GSO_SIZE, 1460, true);
  header.setUint16(HDR_CSUM_START, 34, true);
  header.setUint16(HDR_CSUM_OFFSET, 16, true);
}
