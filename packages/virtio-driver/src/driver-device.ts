/**
 * A device as its driver uses it: initialization, negotiation, queues, failure and teardown (VIRTIO 1.4, 2.1 and 3;
 * libvirtio's `virtio_*`). For drivers.
 *
 * ```ts
 * const device = await DriverDevice.open(connectFirst(finders, VIRTIO_ID_ENTROPY), host);
 * await device.negotiate();
 * await device.bindInterrupts(1);
 * const queue = await device.createQueue<string>(0);
 * await device.start();
 * ```
 * @module
 */

import {
  feature,
  STATUS_ACKNOWLEDGE,
  STATUS_DRIVER,
  STATUS_DRIVER_OK,
  STATUS_FEATURES_OK,
  VIRTIO_F_NOTIFICATION_DATA,
  VIRTIO_F_SUSPEND,
} from "@virtio-ts/virtio-bindings";
import { DeviceConfig } from "./device-config.ts";
import { DriverError, type DriverErrorCode } from "./errors.ts";
import { chooseFeatures, type FeatureRequest } from "./features.ts";
import type { DriverHost } from "./host.ts";
import { type QueueOptions, setUpQueue } from "./queue-setup.ts";
import { QueueTable } from "./queue-table.ts";
import { addStatus, healthyStatus, resumeDevice, suspendDevice, tellFailed } from "./status.ts";
import type { DriverInterrupts, DriverTransport } from "./transport.ts";
import { Virtqueue } from "./virtqueue.ts";
import { checkPresent } from "./wait.ts";

/** Errors about an argument, not about the device: it is not given up for them. */
const ARGUMENT_ERRORS: readonly DriverErrorCode[] = ["invalid", "queue-unavailable"];

/** One device, from its reset to the next one. A driver that starts over opens the device again. */
export class DriverDevice {
  /** The transport that reaches the device. */
  readonly transport: DriverTransport;
  /** The machine the driver runs on. */
  readonly host: DriverHost;
  /** Device configuration space. */
  readonly config: DeviceConfig;
  /** The features that the device offers, read once. */
  readonly offered: bigint;
  /**
   * Called when configuration space has changed, in the host's interrupt delivery. If it throws, the device is given
   * up.
   */
  onConfigChange: (() => void) | null = null;
  /** Called once, when the device is given up while in use. An error that it throws is lost. */
  onFailure: ((cause: DriverError) => void) | null = null;
  #features = 0n;
  /** Whether notifications carry the queue's position. A boolean, because each notification reads it. */
  #positioned = false;
  #negotiated = false;
  #closed = false;
  #failure: DriverError | null = null;
  readonly #queues: QueueTable;

  private constructor(transport: DriverTransport, host: DriverHost, offered: bigint) {
    this.transport = transport;
    this.host = host;
    this.offered = offered;
    this.config = new DeviceConfig(transport, () => this.#configBarrier());
    this.#queues = new QueueTable(host.dma, (queue) => this.#notify(queue));
  }

  /**
   * Resets a device, sets ACKNOWLEDGE and DRIVER, and reads the offered features (3.1.1, steps 1 to 4). Sets FAILED if
   * that fails.
   * @throws DriverError `timeout`, `device-gone`
   */
  static async open(transport: DriverTransport, host: DriverHost): Promise<DriverDevice> {
    try {
      await transport.reset();
      await addStatus(transport, STATUS_ACKNOWLEDGE);
      await addStatus(transport, STATUS_DRIVER);
      return new DriverDevice(transport, host, transport.readFeatures());
    } catch (cause) {
      await tellFailed(transport);
      throw cause;
    }
  }

  /** The negotiated features; none before {@link negotiate}. */
  get features(): bigint {
    return this.#features;
  }

  /** Why the device was given up, or `null`. */
  get failure(): DriverError | null {
    return this.#failure;
  }

  /** Whether DRIVER_OK is set and the device is neither suspended nor given up. */
  get live(): boolean {
    return this.#queues.open;
  }

  /** Whether feature bit `bit` was negotiated. */
  has(bit: number): boolean {
    return (this.#features & feature(bit)) !== 0n;
  }

  /**
   * Chooses among the features that the device offers, and sets FEATURES_OK (3.1.1, steps 4 to 6). Only once.
   * @returns the negotiated features
   * @throws DriverError `invalid` the second time; `no-version-1`, `not-supported`, `features-refused`, `timeout`,
   * `device-gone`: the device is then given up
   */
  async negotiate(request: FeatureRequest = {}): Promise<bigint> {
    this.#check(!this.#negotiated, "features were negotiated already");
    this.#negotiated = true;
    return this.#step(async () => {
      const { transport } = this;
      const features = chooseFeatures(this.offered, transport.legacy, request);
      transport.writeFeatures(features);
      if (!transport.legacy) {
        await addStatus(transport, STATUS_FEATURES_OK);
        if ((checkPresent(transport.readStatus()) & STATUS_FEATURES_OK) === 0) {
          throw new DriverError("features-refused", `the device did not agree on features 0x${features.toString(16)}`);
        }
      }
      this.#features = features;
      this.#positioned = this.has(VIRTIO_F_NOTIFICATION_DATA);
      return features;
    });
  }

  /**
   * Binds the device's interrupts, for `queues` queues, before the first queue is created. A driver that only polls
   * omits this call.
   * @throws DriverError `refused`, ...: the device is then given up
   */
  async bindInterrupts(queues: number): Promise<void> {
    this.#check(this.#queues.size === 0, "interrupts are bound before queues are created");
    const interrupts: DriverInterrupts = {
      used: (index) => this.#used(index),
      configChanged: () => this.#configChanged(),
    };
    await this.#step(() => this.transport.bindInterrupts(interrupts, queues));
  }

  /**
   * Sets queue `index` up and enables it. Features must have been negotiated.
   * @throws DriverError `invalid`, `queue-unavailable` for an impossible request; all others give the device up
   */
  async createQueue<T>(index: number, options: QueueOptions = {}): Promise<Virtqueue<T>> {
    this.#check(this.#negotiated, "features are negotiated before queues are created");
    if (this.#queues.get(index) !== undefined) throw new DriverError("queue-unavailable", `queue ${index} is in use`);
    return this.#step(async () => {
      const { queue, block } = await setUpQueue(this.transport, this.host, this.#features, index, options, (fault) =>
        this.giveUp(new DriverError("needs-reset", `queue ${index}: ${fault.message}`, { cause: fault })),
      );
      const virtqueue = new Virtqueue<T>(index, queue, this.#queues, options.onUsed ?? null);
      this.#queues.add(virtqueue, block);
      if (this.#closed) {
        const closed = new DriverError("invalid", `the device was closed while queue ${index} was set up`);
        this.#queues.release(index, closed);
        throw closed;
      }
      return virtqueue;
    });
  }

  /**
   * Takes one queue back from the device, with its memory, if the transport can: with VIRTIO_F_RING_RESET every
   * transport can. The index can then be created again.
   * @throws DriverError `invalid` for a queue that does not belong to the device; `not-supported`; `timeout`, ...: the
   * device is then given up
   */
  async destroyQueue<T>(virtqueue: Virtqueue<T>): Promise<void> {
    const { index } = virtqueue;
    this.#check(this.#queues.get(index)?.queue === virtqueue.queue, `queue ${index} is not in use`);
    await this.#step(() => this.transport.resetQueue(index), [...ARGUMENT_ERRORS, "not-supported"]);
    this.#queues.release(index, new DriverError("invalid", `queue ${index} was destroyed`));
  }

  /**
   * Tells the device that the driver is ready: DRIVER_OK (3.1.1, step 8). Sends the notifications that were held back.
   * @throws DriverError `needs-reset`, `refused`, ...: the device is then given up
   */
  async start(): Promise<void> {
    this.#check(this.#negotiated && !this.live, "a device is started once, after features were negotiated");
    await this.#step(async () => {
      await addStatus(this.transport, STATUS_DRIVER_OK);
      const status = healthyStatus(this.transport);
      if ((status & STATUS_DRIVER_OK) === 0) throw new DriverError("refused", `DRIVER_OK was not taken: ${status}`);
    });
    this.#queues.openGate();
  }

  /**
   * Suspends the device (3.4), once it has finished its requests in flight. Until {@link resume} nothing is enqueued,
   * notified or written to configuration space.
   * @throws DriverError `not-supported` without VIRTIO_F_SUSPEND; `invalid` unless live; `timeout`, `needs-reset`, ...:
   * the device is then given up
   */
  async suspend(): Promise<void> {
    if (!this.has(VIRTIO_F_SUSPEND)) throw new DriverError("not-supported", "VIRTIO_F_SUSPEND was not negotiated");
    this.#check(this.live, "only a device that was started is suspended");
    this.#queues.shutGate(new DriverError("invalid", "the device is suspended"));
    await this.#step(() => suspendDevice(this.transport, this.host.clock));
  }

  /**
   * Resumes a suspended device.
   * @throws DriverError `invalid` unless suspended; `timeout`, `needs-reset`, ...: the device is then given up
   */
  async resume(): Promise<void> {
    this.#check(this.#queues.barrier !== null, "only a suspended device is resumed");
    await this.#step(() => resumeDevice(this.transport, this.host.clock));
    this.#queues.openGate();
  }

  /**
   * Gives the device up: sets FAILED, rejects pending calls, and enqueues and notifies nothing any more. The device
   * keeps its memory until {@link close}. A second call does nothing.
   */
  giveUp(cause: DriverError): void {
    if (this.#failure !== null || this.#closed) return;
    this.#failure = cause;
    this.#queues.shutGate(cause);
    void tellFailed(this.transport);
    this.#queues.fail(cause);
    try {
      this.onFailure?.(cause);
    } catch {
      // Nobody else could be told.
    }
  }

  /**
   * Resets the device, releases its interrupts and frees its memory. Requests in flight can then be reclaimed. A second
   * call does nothing.
   * @throws DriverError `timeout` if the device does not finish its reset: it may still write to its memory, which
   * therefore stays allocated; call `close` again
   */
  async close(): Promise<void> {
    if (this.#closed) return;
    const ended = this.#failure ?? new DriverError("invalid", "the device was closed");
    this.#queues.shutGate(ended);
    this.#queues.fail(ended);
    this.transport.unbindInterrupts();
    try {
      await this.transport.reset();
    } catch (cause) {
      // A device that is gone writes nowhere.
      if (!(cause instanceof DriverError) || cause.code !== "device-gone") throw cause;
    }
    this.#closed = true;
    this.#queues.releaseAll(ended);
  }

  /** Runs a step of the device's life. If it fails, the device is given up, except for `harmless` reasons. */
  async #step<T>(action: () => Promise<T>, harmless: readonly DriverErrorCode[] = ARGUMENT_ERRORS): Promise<T> {
    try {
      return await action();
    } catch (cause) {
      if (cause instanceof DriverError && !harmless.includes(cause.code)) this.giveUp(cause);
      throw cause;
    }
  }

  #check(condition: boolean, message: string): void {
    if (this.#failure !== null) throw this.#failure;
    if (!condition || this.#closed) throw new DriverError("invalid", this.#closed ? "the device was closed" : message);
  }

  /** Before features are negotiated, configuration space is read-only (3.1.1, step 4). */
  #configBarrier(): DriverError | null {
    if (this.#negotiated) return this.#queues.barrier;
    return new DriverError("invalid", "configuration space is not written before features are negotiated");
  }

  #used(index: number): void {
    const queue = this.#queues.get(index);
    if (queue === undefined || this.#failure !== null) return;
    try {
      queue.onUsed?.();
    } catch (cause) {
      this.#giveUpFor(`queue ${index}`, cause);
    }
  }

  #configChanged(): void {
    if (this.#failure !== null) return;
    try {
      healthyStatus(this.transport);
    } catch (cause) {
      this.giveUp(cause as DriverError);
      return;
    }
    try {
      this.onConfigChange?.();
    } catch (cause) {
      this.#giveUpFor("configuration changes", cause);
    }
  }

  /** A handler threw. The device is given up, and the machine that delivered the interrupt sees no error. */
  #giveUpFor(what: string, cause: unknown): void {
    this.giveUp(new DriverError("invalid", `the handler of ${what} threw`, { cause }));
  }

  #notify(queue: Virtqueue<unknown>): void {
    this.transport.notify(queue.index, this.#positioned ? queue.queue.notificationPosition : undefined);
  }
}
