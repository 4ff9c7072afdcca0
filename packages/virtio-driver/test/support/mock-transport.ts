/**
 * A device made of nothing but answers: it does as the standard says, and writes down what it was told, until a test
 * has it do otherwise.
 * @module
 */

import { feature, VIRTIO_F_RING_RESET, VIRTIO_F_VERSION_1 } from "@virtio-ts/virtio-bindings";
import { createDeviceQueue, type DeviceQueue, type QueueAreas } from "@virtio-ts/virtio-queue";
import { GuestMemory } from "@virtio-ts/vm-memory";
import {
  DriverError,
  type DriverInterrupts,
  type DriverSharedMemory,
  type DriverTransport,
  type LegacyPlacement,
  ProcessHost,
  waitFor,
  waitForReset,
} from "../../src/index.ts";
import { ManualClock } from "../../src/testing/index.ts";

/** What a {@link MockTransport} is made with. */
export interface MockOptions {
  readonly offered?: bigint;
  readonly legacy?: boolean;
  readonly maxSizes?: readonly number[];
  readonly configSize?: number;
}

/** What the standard's legacy transports ask for. */
const LEGACY: LegacyPlacement = { align: 4096, limit: 2 ** 44, fixedSize: true };

/** A transport over no registers. */
export class MockTransport implements DriverTransport {
  readonly kind = "mock";
  readonly deviceType = 4;
  readonly legacy: boolean;
  readonly legacyPlacement: LegacyPlacement | null;
  /** What was done, in order: `status 1`, `features 0x100000000`, `enable 0`, `notify 0`, ... */
  readonly log: string[] = [];
  readonly maxSizes: number[];
  readonly config: Uint8Array;
  readonly areas = new Map<number, QueueAreas>();
  readonly clock = new ManualClock();
  readonly memory: GuestMemory = GuestMemory.of(new Uint8Array(0x10_0000));
  readonly host: ProcessHost = new ProcessHost(this.memory, { clock: this.clock });
  offered: bigint;
  accepted = 0n;
  status = 0;
  generation = 0;
  configSize: number;
  interrupts: DriverInterrupts | null = null;
  /** Changes a status that is read. */
  onReadStatus: (status: number) => number = (status) => status;
  /** What a status that is written becomes. */
  onWriteStatus: (status: number) => number = (status) => status;
  /** Called before each read of configuration space. */
  onReadConfig: (offset: number) => void = () => {};
  /** Thrown when a queue is enabled. */
  enableError: DriverError | null = null;

  constructor(options: MockOptions = {}) {
    this.legacy = options.legacy ?? false;
    this.legacyPlacement = this.legacy ? LEGACY : null;
    this.offered = options.offered ?? (this.legacy ? 0n : feature(VIRTIO_F_VERSION_1));
    this.maxSizes = [...(options.maxSizes ?? [8, 8])];
    this.configSize = options.configSize ?? 16;
    this.config = new Uint8Array(64);
  }

  readStatus(): number {
    return this.onReadStatus(this.status);
  }

  async writeStatus(status: number): Promise<void> {
    this.log.push(`status ${status}`);
    this.status = this.onWriteStatus(status);
  }

  async reset(): Promise<void> {
    this.log.push("reset");
    this.status = this.onWriteStatus(0);
    await waitForReset(this.clock, () => this.readStatus());
    this.areas.clear();
  }

  readFeatures(): bigint {
    return this.offered;
  }

  writeFeatures(features: bigint): void {
    this.log.push(`features 0x${features.toString(16)}`);
    this.accepted = features;
  }

  queueMaxSize(index: number): number {
    return this.maxSizes[index] ?? 0;
  }

  queueEnabled(index: number): boolean {
    return this.areas.has(index);
  }

  async enableQueue(index: number, areas: QueueAreas): Promise<void> {
    if (this.enableError !== null) throw this.enableError;
    this.log.push(`enable ${index}`);
    this.areas.set(index, areas);
  }

  async resetQueue(index: number): Promise<void> {
    if (!this.legacy && (this.accepted & feature(VIRTIO_F_RING_RESET)) === 0n) {
      throw new DriverError("not-supported", "no RING_RESET");
    }
    this.log.push(`reset queue ${index}`);
    await waitFor(this.clock, "queue reset", () => this.areas.delete(index) || !this.areas.has(index));
  }

  notify(index: number, position?: number): void {
    this.log.push(position === undefined ? `notify ${index}` : `notify ${index} at ${position}`);
  }

  readConfig(offset: number, width: 1 | 2 | 4): number {
    this.onReadConfig(offset);
    let value = 0;
    for (let i = width - 1; i >= 0; i--) value = value * 256 + this.config[offset + i];
    this.log.push(`read ${width} at ${offset}`);
    return value;
  }

  writeConfig(offset: number, width: 1 | 2 | 4, value: number): void {
    this.log.push(`write ${width} at ${offset}`);
    for (let i = 0; i < width; i++) this.config[offset + i] = value >>> (8 * i);
  }

  configGeneration(): number | null {
    return this.legacy ? null : this.generation;
  }

  async bindInterrupts(interrupts: DriverInterrupts, queues: number): Promise<void> {
    this.log.push(`bind ${queues}`);
    this.interrupts = interrupts;
  }

  unbindInterrupts(): void {
    this.log.push("unbind");
    this.interrupts = null;
  }

  readIsr(): number {
    return 0;
  }

  sharedMemory(): DriverSharedMemory | null {
    return null;
  }

  /** The device's half of a queue. */
  deviceQueue(index: number): DeviceQueue {
    return createDeviceQueue(this.memory, this.accepted, this.areas.get(index) as QueueAreas);
  }
}
