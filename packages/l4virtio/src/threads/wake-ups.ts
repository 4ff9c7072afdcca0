/**
 * IRQ objects between threads: a word in shared memory that says whether a wake-up is pending, and a message that wakes
 * the receiver. At most one message is in flight for each object, and no trigger is lost, because the word is cleared
 * before the receiver looks for work. For both threads.
 * @module
 */

import type { L4Irq } from "../layout/objects.ts";
import type { L4Port, Message } from "./port.ts";

const IDLE = 0;
const PENDING = 1;

/** An IRQ object as it is sent to the thread that triggers it. */
export interface SentIrq {
  /** The receiver's number of the object. */
  readonly slot: number;
  /** One word: whether it is pending. */
  readonly pending: Int32Array;
}

/** The IRQ objects of a thread: the ones that it receives, and the other thread's that it triggers. */
export class WakeUps {
  readonly #port: L4Port;
  readonly #received = new Map<number, { readonly pending: Int32Array; readonly handler: () => void }>();

  constructor(port: L4Port) {
    this.#port = port;
  }

  /** Makes an object that is received here, to send to the other end. A second call replaces the handler. */
  create(slot: number, handler: () => void): SentIrq {
    const pending = this.#received.get(slot)?.pending ?? new Int32Array(new SharedArrayBuffer(4));
    this.#received.set(slot, { pending, handler });
    return { slot, pending };
  }

  /** Opens an object that was sent here; `null` if `sent` is not one. */
  open(sent: unknown): L4Irq | null {
    if (typeof sent !== "object" || sent === null) return null;
    const { slot, pending } = sent as Partial<Record<keyof SentIrq, unknown>>;
    if (typeof slot !== "number" || !(pending instanceof Int32Array) || pending.length === 0) return null;
    const trigger = (): void => {
      if (Atomics.exchange(pending, 0, PENDING) === IDLE) this.#port.postMessage({ irq: slot });
    };
    return { trigger };
  }

  /** Delivers a message that triggers an object; false for any other message. */
  deliver(message: Message): boolean {
    if (!("irq" in message)) return false;
    const received = typeof message.irq === "number" ? this.#received.get(message.irq) : undefined;
    if (received !== undefined) {
      Atomics.store(received.pending, 0, IDLE);
      received.handler();
    }
    return true;
  }
}
