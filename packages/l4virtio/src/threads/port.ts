/**
 * What is needed of a `MessagePort`, and the messages that go over it. For both threads.
 *
 * The other end is another thread's: every field of a message is checked before it is used.
 * @module
 */

import { CONFIG_PAGE_SIZE } from "../layout/header.ts";
import type { ConfigDataspace } from "../layout/objects.ts";

/** A `MessagePort`, in a browser or in Node. */
export interface L4Port {
  postMessage(message: unknown): void;
  addEventListener(type: string, listener: (event: object) => void): void;
  /** Begins to deliver messages. */
  start(): void;
  close(): void;
}

/** A config page that can be shared with another thread. */
export function sharedPage(): ConfigDataspace {
  return { dataspace: new Uint8Array(new SharedArrayBuffer(CONFIG_PAGE_SIZE)), offset: 0 };
}

/** Operations of the device as an interrupt controller, which L4-VIRTIO's own opcodes are not about. */
export const OP_ICU_INFO = "icu-info";
/** Gives the device an IRQ object of the driver's. */
export const OP_ICU_BIND = "icu-bind";

/** A message, as far as one can know before it is looked at. */
export type Message = Readonly<Record<string, unknown>>;

/** The message of an event; what is no object is an empty one. */
export function messageOf(event: object): Message {
  const { data } = event as { readonly data?: unknown };
  return typeof data === "object" && data !== null ? (data as Message) : {};
}

/** A field of a message as a number; what is none becomes NaN, which is refused wherever it comes to. */
export function numberOf(value: unknown): number {
  return typeof value === "number" ? value : Number.NaN;
}

/** Whether a value is memory that both threads see, and not the copy of somebody's. */
export function isShared(value: unknown): value is Uint8Array & { readonly buffer: SharedArrayBuffer } {
  return value instanceof Uint8Array && value.buffer instanceof SharedArrayBuffer;
}
