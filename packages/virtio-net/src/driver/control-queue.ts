/**
 * The driver's half of the control virtqueue: one command at a time, each with its answer (VIRTIO 1.4, 5.1.6.5). Part of
 * the NIC driver.
 * @module
 */

import { type DriverDevice, DriverError, type Virtqueue, waitFor } from "@virtio-ts/virtio-driver";
import { BufferElements, QUEUE_EMPTY } from "@virtio-ts/virtio-queue";
import { CTRL_OK } from "../layout/index.ts";

/** The offsets of a command's parts in its block of memory. */
const DATA_AT = 8;
/** The most data of a command, bytes: an address, or hash types with their key. */
const DATA_MAX = 64;
const ACK_AT = DATA_AT + DATA_MAX;
const BLOCK = ACK_AT + 8;

/** The placeholder until an answer comes: a value that the standard does not use. */
const NO_ANSWER = 0xff;

/** The control virtqueue of a device in use. */
export class ControlQueue {
  readonly #device: DriverDevice;
  readonly #virtqueue: Virtqueue<null>;
  readonly #block: number;
  readonly #elements = new BufferElements();
  /** The end of the last command; a command waits for the previous ones. */
  #last: Promise<unknown> = Promise.resolve();
  /** Set when a command was never answered: the device still owns it, and the block. */
  #stuck: DriverError | null = null;
  #closed = false;

  /** @throws DriverError `no-memory` */
  constructor(device: DriverDevice, virtqueue: Virtqueue<null>) {
    this.#device = device;
    this.#virtqueue = virtqueue;
    this.#block = device.host.dma.allocate(BLOCK, 16);
    virtqueue.disableInterrupts();
  }

  /**
   * Sends a command, after the previous ones, and waits for its answer.
   * @param data at most 64 bytes
   * @throws DriverError `refused` if the device refuses it; `timeout`, `needs-reset`, `device-gone`; `invalid` if the
   * driver is stopped meanwhile
   */
  command(commandClass: number, command: number, data: readonly number[]): Promise<void> {
    const answered = this.#last.then(() => this.#send(commandClass, command, data));
    this.#last = answered.catch(() => {});
    return answered;
  }

  /** Stops sending and waiting. */
  shut(): void {
    this.#closed = true;
  }

  /** The device has been reset: frees the memory. */
  recover(): void {
    this.#device.host.dma.free(this.#block);
  }

  async #send(commandClass: number, command: number, data: readonly number[]): Promise<void> {
    this.#check();
    if (this.#stuck !== null) throw this.#stuck;
    const { memory, clock } = this.#device.host;
    const name = `control command ${commandClass}/${command}`;
    memory.write(this.#block, Uint8Array.of(commandClass, command));
    memory.write(this.#block + DATA_AT, Uint8Array.from(data));
    memory.writeU8(this.#block + ACK_AT, NO_ANSWER);
    // Framed as legacy devices require (5.1.6.6); others accept it too.
    const elements = this.#elements.clear().readable(this.#block, 2);
    if (data.length > 0) elements.readable(this.#block + DATA_AT, data.length);
    elements.writable(this.#block + ACK_AT, 1);
    await this.#virtqueue.enqueue(elements, null);
    this.#virtqueue.notify();
    try {
      await waitFor(clock, name, () => this.#isAnswered());
    } catch (cause) {
      this.#stuck = cause as DriverError;
      throw cause;
    }
    const ack = memory.readU8(this.#block + ACK_AT);
    if (ack !== CTRL_OK) throw new DriverError("refused", `${name} was answered by ${ack}`);
  }

  #isAnswered(): boolean {
    const used = this.#virtqueue.dequeue();
    this.#check();
    return used !== QUEUE_EMPTY;
  }

  /** A failed device answers nothing; a stopped queue is such a failure. */
  #check(): void {
    if (this.#device.failure !== null) throw this.#device.failure;
    if (this.#closed) throw new DriverError("invalid", "the control queue is closed");
  }
}
