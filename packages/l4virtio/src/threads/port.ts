/**
 * The parts of a `MessagePort` that are used, and the messages that it carries. For both threads.
 *
 * Messages come from another thread: every field is checked before it is used.
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

/** Asks the device, as an interrupt controller, for its number of IRQ objects. L4-VIRTIO has no opcode for this. */
export const OP_ICU_INFO = "icu-info";
/** Gives the device an IRQ object of the driver. */
export const OP_ICU_BIND = "icu-bind";

/** A message before its fields are checked. */
export type Message = Readonly<Record<string, unknown>>;

/** The message of an event; an empty one if its data is not an object. */
export function messageOf(event: object): Message {
  const { data } = event as { readonly data?: unknown };
  return typeof data === "object" && data !== null ? (data as Message) : {};
}

/** A field of a message as a number; NaN if it is not one. Every operation refuses NaN. */
export function numberOf(value: unknown): number {
  return typeof value === "number" ? value : Number.NaN;
}

/** Whether a value is memory that both threads share, not a copy. */
export function isShared(value: unknown): value is Uint8Array & { readonly buffer: SharedArrayBuffer } {
  return value instanceof Uint8Array && value.buffer instanceof SharedArrayBuffer;
}
