/**
 * A device that answers each request with the same bytes, inverted; and one in a machine of its own behind L4-VIRTIO.
 * @module
 */

import {
  type ActivationContext,
  type ConfigError,
  ConfigSpace,
  QueueWorker,
  type VirtioDevice,
} from "@virtio-ts/virtio-device";
import { ManualScheduler } from "@virtio-ts/virtio-device/testing";
import { type DriverDevice, ProcessHost } from "@virtio-ts/virtio-driver";
import { ManualClock } from "@virtio-ts/virtio-driver/testing";
import { BufferElements } from "@virtio-ts/virtio-queue";
import { GuestMemory, MemoryRegion } from "@virtio-ts/vm-memory";
import { L4VirtioDevice, type L4VirtioDeviceOptions } from "../../src/device/index.ts";

export const ECHO_ID = 42;

/** Echoes on each of its queues. */
export class EchoDevice implements VirtioDevice {
  readonly deviceType = ECHO_ID;
  readonly queueMaxSizes: readonly number[];
  readonly configSize = 12;
  /** The first eight bytes are the driver's to write. */
  readonly config = new ConfigSpace(12, [[0, 8]]);
  /** Kicks, by queue. */
  readonly kicks: number[] = [];
  /** What a reset waits for. */
  resetting: Promise<void> | undefined;
  /** What a reset of one queue waits for. */
  queueResetting: Promise<void> | undefined;
  context: ActivationContext | null = null;
  #workers: QueueWorker[] = [];
  readonly #text = new Uint8Array(4096);

  constructor(queues: readonly number[] = [16, 16]) {
    this.queueMaxSizes = queues;
  }

  readConfig(offset: number, data: Uint8Array): ConfigError | null {
    return this.config.read(offset, data);
  }

  writeConfig(offset: number, data: Uint8Array): ConfigError | null {
    return this.config.write(offset, data);
  }

  activate(context: ActivationContext): void {
    this.context = context;
    this.#workers = context.queues.map((_, index) => this.#worker(context, index));
  }

  startQueue({ index }: { readonly index: number }): void {
    if (this.context !== null) this.#workers[index] = this.#worker(this.context, index);
  }

  stopQueue(): void | Promise<void> {
    return this.queueResetting;
  }

  queueNotify(index: number): void {
    this.kicks[index] = (this.kicks[index] ?? 0) + 1;
    this.#workers[index].run();
  }

  reset(): void | Promise<void> {
    this.context = null;
    return this.resetting;
  }

  #worker(context: ActivationContext, index: number): QueueWorker {
    return new QueueWorker(context, index, (burst, i) => {
      const length = burst.copyOut(i, 0, this.#text, 0, this.#text.length);
      for (let at = 0; at < length; at++) this.#text[at] ^= 0xff;
      return burst.copyIn(i, 0, this.#text, 0, length);
    });
  }
}

/** Where guest memory is: two dataspaces, with a hole between them. */
export const MEMORY_BASE = 0x10000;
const MEMORY_SIZE = 0x10000;
export const OTHER_BASE = 0x8000_0000;

export function guestMemory(): GuestMemory {
  return new GuestMemory([
    new MemoryRegion(MEMORY_BASE, new Uint8Array(MEMORY_SIZE)),
    new MemoryRegion(OTHER_BASE, new Uint8Array(0x1000)),
  ]);
}

/** A device, and the machine of its driver. */
export interface Rig {
  readonly echo: EchoDevice;
  readonly device: L4VirtioDevice;
  readonly scheduler: ManualScheduler;
  readonly clock: ManualClock;
  readonly host: ProcessHost;
}

export function rig(options: Partial<L4VirtioDeviceOptions> = {}, queues?: readonly number[]): Rig {
  const echo = new EchoDevice(queues);
  const scheduler = new ManualScheduler();
  const clock = new ManualClock();
  const device = new L4VirtioDevice(echo, { scheduler, ...options });
  return { echo, device, scheduler, clock, host: new ProcessHost(guestMemory(), { clock }) };
}

/** Sends one request through a queue and gives back what came of it. */
export async function roundTrip(driver: DriverDevice, index: number, bytes: readonly number[]): Promise<number[]> {
  const { memory, dma } = driver.host;
  const queue = await driver.createQueue<string>(index);
  if (!driver.live) await driver.start();
  const block = dma.allocate(64, 8);
  memory.write(block, Uint8Array.from(bytes));
  const elements = new BufferElements().readable(block, bytes.length).writable(block + 32, 32);
  await queue.enqueue(elements, "request");
  queue.notify();
  const used = queue.dequeue();
  if (typeof used === "number") throw new Error(`nothing was used: ${used}`);
  const answer = new Uint8Array(used.length);
  memory.read(block + 32, answer);
  return [...answer];
}
