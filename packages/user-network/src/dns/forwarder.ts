/**
 * Questions that only the host's servers can answer: equal ones asked once, their answers kept as long as they are
 * good, and each answered in the end, whatever the host does.
 * @module
 */

import { type Canceller, canceller } from "../cancel.ts";
import { Place, Places } from "../places.ts";
import type { Stack } from "../stack.ts";
import { DnsCache } from "./cache.ts";
import { type DnsQuestion, writeQuery } from "./question.ts";
import { type DnsReply, ownReply, readReply } from "./reply.ts";
import { RCODE_SERVER_FAILURE } from "./wire.ts";

/** When a host that says nothing is given up: it has tried its servers by then, each twice. */
const TIMEOUT_MS = 20_000;

/** One who waits for an answer. */
interface Waiting {
  readonly question: DnsQuestion;
  readonly exchange: Exchange;
  readonly done: (reply: DnsReply, age: number) => void;
}

/** A question that was put to the host. */
interface Exchange {
  readonly key: string;
  readonly query: Uint8Array;
  readonly waiting: Set<Place<Waiting>>;
  readonly canceller: Canceller;
}

/** Puts questions to the host. */
export class DnsForwarder {
  readonly #stack: Stack;
  readonly #cache: DnsCache;
  readonly #exchanges = new Map<string, Exchange>();
  /** All who wait. The one that has waited longest is the least likely to get an answer, and gives way. */
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
   * Asks.
   * @param done gets the answer and its age in seconds, once, at once or later
   * @returns withdraws the question: `done` will not be called any more
   */
  ask(question: DnsQuestion, done: (reply: DnsReply, age: number) => void): () => void {
    const cached = this.#cache.find(question.key);
    if (cached !== undefined) {
      this.#stack.counters.dnsCached++;
      done(cached.reply, cached.age);
      return () => {};
    }
    this.#waiting.makeRoom(); // first, for the one that gives way may be the last that waits for the same
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

  /** Forgets all questions and answers. */
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

  /** An answer came, or none will: all who wait for it are told. */
  #settle(exchange: Exchange, reply: DnsReply | undefined): void {
    if (this.#exchanges.get(exchange.key) !== exchange) return; // nobody waits for it any more
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

  /** One waits no more. What nobody waits for is not looked for any longer. */
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
