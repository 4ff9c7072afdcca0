/**
 * The network's name server: answers local names itself, and forwards all other messages to the host's servers, if the
 * network's policy allows it.
 * @module
 */

import type { Stack } from "../stack.ts";
import { IP_HEADER, UDP_HEADER } from "../wire.ts";
import { DnsForwarder } from "./forwarder.ts";
import { answerHere } from "./local.ts";
import { readQuestion } from "./question.ts";
import { type DnsReply, ownReply, writeRefusal, writeReply } from "./reply.ts";
import { RCODE_REFUSED } from "./wire.ts";

/** The port of a name server (RFC 1035, 4.2). */
export const DNS_PORT = 53;
const MAX_TCP_SIZE = 0xffff;

/** The name server. */
export class Dns {
  readonly #stack: Stack;
  readonly #forwarder: DnsForwarder;

  constructor(stack: Stack) {
    this.#stack = stack;
    this.#forwarder = new DnsForwarder(stack);
  }

  /**
   * Answers a question.
   * @param message the question; kept until the answer
   * @param stream whether it came over TCP, where answers may be long
   * @param answered called once with the answer, at once or later
   * @returns a function that cancels the question; `undefined` if the message is not a question and gets no answer
   */
  ask(message: Uint8Array, stream: boolean, answered: (answer: Uint8Array) => void): (() => void) | undefined {
    const { counters, config } = this.#stack;
    const question = readQuestion(message);
    if (question === undefined) {
      counters.dropped.malformed++;
      return undefined;
    }
    const answer = (bytes: Uint8Array): void => {
      counters.dnsAnswered++;
      answered(bytes);
    };
    if (typeof question === "number") {
      answer(writeRefusal(message, question));
      return () => {};
    }
    // An answer must fit one packet: fragments get lost, and guests may reject them.
    const limit = stream ? MAX_TCP_SIZE : Math.min(question.udpSize, config.mtu - IP_HEADER - UDP_HEADER);
    const done = (reply: DnsReply, age: number): void => answer(writeReply(question, reply, age, limit));
    const here = answerHere(question, config);
    if (here !== undefined) {
      done(here, 0);
      return () => {};
    }
    if (!this.#stack.allows("dns", question.name, DNS_PORT)) {
      counters.dropped.prohibited++;
      done(ownReply(question, RCODE_REFUSED), 0);
      return () => {};
    }
    return this.#forwarder.ask(question, done);
  }

  /** The guest is gone: drops its questions and the cached answers. */
  clear(): void {
    this.#forwarder.clear();
  }
}
