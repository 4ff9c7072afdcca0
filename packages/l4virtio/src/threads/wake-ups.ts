/**
 * IRQ objects between threads: a word in shared memory that says whether the receiver was woken already, and a message
 * that wakes it. At most one message is on its way for each object, however often it is triggered, and none is lost: the
 * word is cleared before the receiver looks at what there is to do. For both threads.
 * @module
 */

import type { L4Irq } from "../layout/objects.ts";
import type { L4Port, Message } from "./port.ts";

const IDLE = 0;
const PENDING = 1;

/** An IRQ object on its way to the one who triggers it. */
export interface SentIrq {
  /** Which of the receiver's objects it is. */
  readonly slot: number;
  /** Whether it is pending: one word. */
  readonly pending: Int32Array;
}

/** A thread's IRQ objects: those it receives, and those of the other end that it triggers. */
export class WakeUps {
  readonly #port: L4Port;
  readonly #received = new Map<number, { readonly pending: Int32Array; readonly handler: () => void }>();

  constructor(port: L4Port) {
    this.#port = port;
  }

  /** Makes an object to be received here, and sent to the other end; made anew, it has another handler. */
  create(slot: number, handler: () => void): SentIrq {
    const pending = this.#received.get(slot)?.pending ?? new Int32Array(new SharedArrayBuffer(4));
    this.#received.set(slot, { pending, handler });
    return { slot, pending };
  }

  /** An object that was sent here; `null` for what is none. */
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
