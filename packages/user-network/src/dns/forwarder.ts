/**
 * Forwards questions to the host's servers: equal questions are sent once, answers are cached for their lifetime, and
 * each question is answered in the end, even if the host fails.
 * @module
 */

import { type Canceller, canceller } from "../cancel.ts";
import { Place, Places } from "../places.ts";
import type { Stack } from "../stack.ts";
import { DnsCache } from "./cache.ts";
import { type DnsQuestion, writeQuery } from "./question.ts";
import { type DnsReply, ownReply, readReply } from "./reply.ts";
import { RCODE_SERVER_FAILURE } from "./wire.ts";

/** Time to wait for the host, which has asked each of its servers twice by then. */
const TIMEOUT_MS = 20_000;

/** A question that waits for an answer. */
interface Waiting {
  readonly question: DnsQuestion;
  readonly exchange: Exchange;
  readonly done: (reply: DnsReply, age: number) => void;
}

/** A question sent to the host. */
interface Exchange {
  readonly key: string;
  readonly query: Uint8Array;
  readonly waiting: Set<Place<Waiting>>;
  readonly canceller: Canceller;
}

/** Forwards questions to the host. */
export class DnsForwarder {
  readonly #stack: Stack;
  readonly #cache: DnsCache;
  readonly #exchanges = new Map<string, Exchange>();
  /** All waiting questions. The oldest is evicted, as the least likely to get an answer. */
  readonly #waiting: Places<Waiting>;

  constructor(stack: Stack) {
    this.#stack = stack;
    this.#cache = new DnsCache(stack);
    this.#waiting = new Places<Waiting>(stack, {
      name: "dns",
      limit: stack.config.limits.dnsPending,
      ranks: [{ idleMs: TIMEOUT_MS }],
      ended: (waiting, why) => {
        this.#abandon(waiting);
        if (why !== "cleared") waiting.done(failure(waiting.question), 0);
      },
      describe: ({ question }) => question.name,
    });
  }

  /**
   * Asks a question.
   * @param done called once with the answer and its age in seconds, at once or later
   * @returns a function that cancels the question: `done` is not called then
   */
  ask(question: DnsQuestion, done: (reply: DnsReply, age: number) => void): () => void {
    const cached = this.#cache.find(question.key);
    if (cached !== undefined) {
      this.#stack.counters.dnsCached++;
      done(cached.reply, cached.age);
      return () => {};
    }
    this.#waiting.makeRoom(); // first, because the evicted question may be the last one of the same exchange
    const before = this.#exchanges.get(question.key);
    const exchange = before ?? this.#open(question);
    const place = new Place<Waiting>({ question, exchange, done });
    exchange.waiting.add(place);
    this.#waiting.enter(place);
    if (before === undefined) this.#put(exchange);
    return () => {
      if (place.rank < 0) return;
      this.#waiting.leave(place);
      this.#abandon(place.value);
    };
  }

  /** Drops all questions and answers. */
  clear(): void {
    this.#waiting.clear();
    this.#cache.clear();
  }

  #open(question: DnsQuestion): Exchange {
    const { key } = question;
    const query = writeQuery(question, this.#stack.random() & 0xffff);
    const exchange = { key, query, waiting: new Set<Place<Waiting>>(), canceller: canceller() };
    this.#exchanges.set(key, exchange);
    return exchange;
  }

  #put(exchange: Exchange): void {
    const { query, canceller } = exchange;
    this.#stack.counters.dnsForwarded++;
    this.#stack.host.resolve(query.slice(), canceller.signal).then(
      (bytes: unknown) => this.#settle(exchange, bytes instanceof Uint8Array ? readReply(query, bytes) : undefined),
      () => this.#settle(exchange, undefined),
    );
  }

  /** Ends an exchange, with or without an answer: answers all its questions. */
  #settle(exchange: Exchange, reply: DnsReply | undefined): void {
    if (this.#exchanges.get(exchange.key) !== exchange) return; // no question waits for it any longer
    this.#exchanges.delete(exchange.key);
    const stack = this.#stack;
    stack.event(() => {
      if (reply !== undefined) this.#cache.keep(exchange.key, reply);
      for (const place of exchange.waiting) {
        this.#waiting.leave(place);
        const { done, question } = place.value;
        done(reply ?? failure(question), 0);
      }
    });
  }

  /** Removes questions without a place from an exchange. Aborts the exchange if none is left. */
  #abandon({ exchange }: Waiting): void {
    for (const place of exchange.waiting) if (place.rank < 0) exchange.waiting.delete(place);
    if (exchange.waiting.size > 0) return;
    this.#exchanges.delete(exchange.key);
    exchange.canceller.abort();
  }
}

function failure(question: DnsQuestion): DnsReply {
  return ownReply(question, RCODE_SERVER_FAILURE);
}
