/**
 * The name server over TCP (RFC 7766): stands in for a host socket, connected to the guest's TCP. A guest uses it when
 * an answer did not fit into a datagram.
 *
 * Questions may follow each other without waiting, and each is answered as soon as its answer is ready (6.2.1). Data
 * that can't be taken yet is left unread, and the window of the guest's TCP closes.
 * @module
 */

import type { HostTcp, HostTcpHandlers } from "../host-sockets.ts";
import type { Stack } from "../stack.ts";
import { Timer } from "../timers.ts";
import type { Dns } from "./dns.ts";

/** Maximum waiting questions per connection: more are not read. */
const MAX_WAITING = 16;
/** Maximum bytes of a question, which has only a name and an OPT record. */
const MAX_QUESTION = 4096;
/** Idle time after which the connection closes: "on the order of a few seconds" (RFC 7766, 6.2.3). */
const IDLE_MS = 10_000;

/** A connection to the network's own name server. */
export class DnsStream implements HostTcp {
  readonly #stack: Stack;
  readonly #dns: Dns;
  readonly #handlers: HostTcpHandlers;
  /** Bytes the guest has sent that were not read yet. */
  readonly #chunks: Uint8Array[] = [];
  /** The message being read, after its length. */
  #message = new Uint8Array(2);
  #filled = 0;
  /** Pending questions, as the functions that cancel them. */
  readonly #waiting = new Set<() => void>();
  readonly #idle: Timer = new Timer(() => this.#close());
  #paused = false;
  #ended = false;
  #over = false;

  constructor(stack: Stack, dns: Dns, handlers: HostTcpHandlers) {
    this.#stack = stack;
    this.#dns = dns;
    this.#handlers = handlers;
    this.#later(() => {
      handlers.connected();
      this.#rest();
    });
  }

  write(bytes: Uint8Array): void {
    this.#chunks.push(bytes);
    this.#later(() => this.#read());
  }

  end(): void {
    this.#ended = true;
    this.#later(() => this.#read());
  }

  /** The guest does not read: pending answers may still arrive, but no more questions are taken. */
  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#later(() => this.#read());
  }

  destroy(): void {
    this.#over = true;
    this.#chunks.length = 0;
    this.#stack.timers.remove(this.#idle);
    for (const withdraw of this.#waiting) withdraw();
    this.#waiting.clear();
  }

  #read(): void {
    let consumed = 0;
    while (this.#mayRead && this.#chunks.length > 0) {
      const [chunk] = this.#chunks;
      const count = Math.min(chunk.length, this.#message.length - this.#filled);
      this.#message.set(chunk.subarray(0, count), this.#filled);
      this.#filled += count;
      consumed += count;
      if (count === chunk.length) this.#chunks.shift();
      else this.#chunks[0] = chunk.subarray(count);
      if (this.#filled === this.#message.length && !this.#take()) {
        this.destroy();
        this.#handlers.closed("reset");
        return;
      }
    }
    if (consumed > 0) this.#handlers.written(consumed);
    if (this.#ended && !this.#over && this.#waiting.size === 0 && this.#chunks.length === 0) this.#close();
  }

  get #mayRead(): boolean {
    return !this.#over && !this.#paused && this.#waiting.size < MAX_WAITING;
  }

  /** Takes a complete length or message. Returns whether it was valid. */
  #take(): boolean {
    const message = this.#message;
    if (message.length === 2) {
      const length = (message[0] << 8) | message[1];
      if (length === 0 || length > MAX_QUESTION) return false;
      this.#message = new Uint8Array(2 + length);
      this.#message.set(message);
      return true;
    }
    this.#message = new Uint8Array(2);
    this.#filled = 0;
    return this.#ask(message.subarray(2));
  }

  #ask(question: Uint8Array): boolean {
    this.#stack.timers.unset(this.#idle);
    const withdraw = this.#dns.ask(question, true, (answer) =>
      this.#later(() => {
        if (withdraw !== undefined) this.#waiting.delete(withdraw);
        this.#answer(answer);
      }),
    );
    if (withdraw !== undefined) this.#waiting.add(withdraw);
    return withdraw !== undefined;
  }

  #answer(answer: Uint8Array): void {
    const message = new Uint8Array(2 + answer.length);
    message[0] = answer.length >> 8;
    message[1] = answer.length & 255;
    message.set(answer, 2);
    this.#handlers.data(message);
    if (this.#over) return;
    this.#rest();
    this.#read();
  }

  /** Starts the idle timer if no question is pending. */
  #rest(): void {
    if (this.#waiting.size === 0) this.#stack.timers.set(this.#idle, this.#stack.now + IDLE_MS);
  }

  #close(): void {
    this.destroy();
    this.#handlers.ended();
    this.#handlers.closed();
  }

  /** Runs something asynchronously, as a socket would: never within the call that caused it. */
  #later(run: () => void): void {
    void Promise.resolve().then(() => {
      if (this.#over) return;
      this.#stack.event(() => {
        run();
      });
    });
  }
}
