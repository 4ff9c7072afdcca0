/**
 * The network's name server: answers the names the user gave, and asks the host's resolver for all others.
 *
 * The network carries IPv4 only, so a name has no AAAA records here: a guest that got some would try them in vain.
 * @module
 */

import {
  type DnsQuestion,
  RCODE_NO_SUCH_NAME,
  RCODE_NOT_IMPLEMENTED,
  RCODE_OK,
  RCODE_REFUSED,
  RCODE_SERVER_FAILURE,
  readQuestion,
  recordTypeOf,
  TYPE_A,
  TYPE_AAAA,
  TYPE_HTTPS,
  writeAnswer,
  writeRefusal,
} from "./dns-message.ts";
import type { DnsRecord, DnsResolution } from "./host-sockets.ts";
import type { Stack } from "./stack.ts";

/** The port of a name server (RFC 1035, 4.2). */
export const DNS_PORT = 53;
const MAX_TCP_SIZE = 0xffff;
const NONE: readonly DnsRecord[] = [];

/** Answers questions. */
export class Dns {
  readonly #stack: Stack;
  #pending = 0;

  constructor(stack: Stack) {
    this.#stack = stack;
  }

  /**
   * Answers a question.
   * @param message the question; kept until the answer
   * @param stream whether it came over TCP, where answers may be long
   * @param answered gets the answer, at once or later; not called when there is none to give
   */
  ask(message: Uint8Array, stream: boolean, answered: (answer: Uint8Array) => void): void {
    const stack = this.#stack;
    const question = readQuestion(message);
    if (question === undefined) {
      stack.counters.dropped.malformed++;
      return;
    }
    const limit = stream ? MAX_TCP_SIZE : typeof question === "number" ? 0 : question.udpSize;
    const answer = (rcode: number, records: readonly DnsRecord[]): void => {
      stack.counters.dnsAnswered++;
      answered(
        typeof question === "number" ? writeRefusal(message, rcode) : writeAnswer(question, rcode, records, limit),
      );
    };
    if (typeof question === "number") answer(question, NONE);
    else if (!this.#answerHere(question, answer)) this.#askHost(question, answer);
  }

  /** Answers what needs no host. */
  #answerHere(question: DnsQuestion, answer: (rcode: number, records: readonly DnsRecord[]) => void): boolean {
    if (!question.internet) {
      answer(RCODE_REFUSED, NONE);
      return true;
    }
    const address = this.#stack.config.names.get(question.name);
    if (address !== undefined) {
      answer(RCODE_OK, question.type === TYPE_A ? [{ type: "A", address }] : NONE);
      return true;
    }
    if (question.type === TYPE_AAAA || question.type === TYPE_HTTPS) {
      answer(RCODE_OK, NONE);
      return true;
    }
    if (recordTypeOf(question.type) === undefined) {
      answer(RCODE_NOT_IMPLEMENTED, NONE);
      return true;
    }
    if (question.name === "") {
      answer(RCODE_REFUSED, NONE); // the root: nothing a stub resolver asks for, and a lot of answer
      return true;
    }
    return false;
  }

  #askHost(question: DnsQuestion, answer: (rcode: number, records: readonly DnsRecord[]) => void): void {
    const stack = this.#stack;
    const type = recordTypeOf(question.type);
    if (type === undefined) return;
    if (this.#pending >= stack.config.limits.dnsPending) {
      stack.counters.dropped.dnsLimit++;
      return;
    }
    this.#pending++;
    const done = (resolution: DnsResolution): void => {
      this.#pending--;
      stack.enter();
      try {
        if (resolution === "no-such-name") answer(RCODE_NO_SUCH_NAME, NONE);
        else if (resolution === "failed") answer(RCODE_SERVER_FAILURE, NONE);
        else if (resolution === "not-implemented") answer(RCODE_NOT_IMPLEMENTED, NONE);
        else answer(RCODE_OK, resolution);
      } finally {
        stack.leave();
      }
    };
    stack.host.resolve(question.name, type).then(done, () => done("failed"));
  }
}
