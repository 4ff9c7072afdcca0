/**
 * The name server over TCP (RFC 7766): a host socket that is none, for the guest's TCP to be tied to. A guest asks
 * by it when an answer did not fit into a datagram.
 * @module
 */

import type { Dns } from "./dns.ts";
import type { HostTcp, HostTcpHandlers } from "./host-sockets.ts";

/** Questions of one connection that wait for an answer: more are not read. */
const MAX_WAITING = 16;
const EMPTY = new Uint8Array(0);

/** A connection to the network's own name server. */
export class DnsStream implements HostTcp {
  readonly #dns: Dns;
  readonly #handlers: HostTcpHandlers;
  #received: Uint8Array = EMPTY;
  #waiting = 0;
  #ended = false;
  #destroyed = false;

  constructor(dns: Dns, handlers: HostTcpHandlers) {
    this.#dns = dns;
    this.#handlers = handlers;
    this.#later(() => handlers.connected());
  }

  write(bytes: Uint8Array): void {
    const received = new Uint8Array(this.#received.length + bytes.length);
    received.set(this.#received);
    received.set(bytes, this.#received.length);
    this.#received = received;
    this.#later(() => {
      this.#handlers.written(bytes.length);
      this.#read();
    });
  }

  end(): void {
    this.#ended = true;
    this.#later(() => this.#endIfDone());
  }

  pause(): void {
    // Answers are few and small: they may pile up at the guest's side, which is bounded by MAX_WAITING.
  }

  resume(): void {}

  destroy(): void {
    this.#destroyed = true;
    this.#received = EMPTY;
  }

  #read(): void {
    while (this.#waiting < MAX_WAITING && this.#received.length >= 2) {
      const length = (this.#received[0] << 8) | this.#received[1];
      if (this.#received.length < 2 + length) break;
      const question = this.#received.slice(2, 2 + length);
      this.#received = this.#received.slice(2 + length);
      this.#waiting++;
      this.#dns.ask(question, true, (answer) => this.#later(() => this.#answer(answer)));
    }
    // More than one whole question and still none to be read: it is not a resolver that is speaking.
    if (this.#received.length > 0x2_0000) {
      this.#destroyed = true;
      this.#handlers.closed("reset");
    }
  }

  #answer(answer: Uint8Array): void {
    this.#waiting--;
    const message = new Uint8Array(2 + answer.length);
    message[0] = answer.length >> 8;
    message[1] = answer.length & 255;
    message.set(answer, 2);
    this.#handlers.data(message);
    if (!this.#destroyed) this.#read();
    if (!this.#destroyed) this.#endIfDone();
  }

  #endIfDone(): void {
    if (!this.#ended || this.#waiting > 0 || this.#destroyed) return;
    this.#destroyed = true;
    this.#handlers.ended();
    this.#handlers.closed();
  }

  /** As a socket would: never within the call that was the cause. */
  #later(run: () => void): void {
    void Promise.resolve().then(() => {
      if (!this.#destroyed) run();
    });
  }
}
