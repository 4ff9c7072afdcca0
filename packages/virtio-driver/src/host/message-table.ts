/**
 * Message-signalled interrupts that end in this process: a machine delivers its devices' messages here.
 * @module
 */

import type { MsiSink } from "@virtio-ts/vm-device";
import type { HostMessage } from "../host.ts";

/** The address at which a PC's processors take messages. */
const MESSAGE_ADDRESS = 0xfee0_0000;

/** Messages and their handlers. A message without a handler is lost. */
export class MessageTable implements MsiSink {
  /** Messages without a handler. */
  strays = 0;
  readonly #handlers: ((() => void) | null)[] = [];
  readonly #capacity: number;

  /** @param capacity how many messages exist; 0: devices must use lines */
  constructor(capacity: number = 2048) {
    this.#capacity = capacity;
  }

  /** A message that calls `handler`; `null` if none is left. */
  allocate(handler: () => void): HostMessage | null {
    const free = this.#handlers.indexOf(null);
    const data = free < 0 ? this.#handlers.length : free;
    if (data >= this.#capacity) return null;
    this.#handlers[data] = handler;
    const release = (): void => {
      if (this.#handlers[data] === handler) this.#handlers[data] = null;
    };
    return { address: MESSAGE_ADDRESS, data, release };
  }

  send(address: number, data: number): void {
    const handler = address === MESSAGE_ADDRESS ? this.#handlers[data] : null;
    if (handler === null || handler === undefined) this.strays++;
    else handler();
  }
}
