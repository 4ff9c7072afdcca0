/**
 * A cache of answers, by question. When it is full, the answer unused for longest is evicted.
 * @module
 */

import { BoundedTable } from "../bounded-table.ts";
import type { Stack } from "../stack.ts";
import type { DnsReply } from "./reply.ts";

/** Maximum seconds that an answer is kept: the host may use other servers by then, for example because of a VPN. */
const MAX_LIFETIME = 300;
/** Maximum bytes of a cached answer: so the number of answers also limits the memory. */
const MAX_SIZE = 4096;

interface Entry {
  readonly reply: DnsReply;
  /** Time of the answer, ms. */
  readonly since: number;
}

/** A cache of answers. */
export class DnsCache {
  readonly #stack: Stack;
  readonly #entries: BoundedTable<string, Entry>;

  constructor(stack: Stack) {
    this.#stack = stack;
    this.#entries = new BoundedTable(stack, {
      name: "dnsCache",
      limit: stack.config.limits.dnsCache,
      ranks: [{ idleMs: MAX_LIFETIME * 1000 }],
      ended: () => {},
    });
  }

  /** Finds an answer and its age in whole seconds. */
  find(key: string): { readonly reply: DnsReply; readonly age: number } | undefined {
    const entry = this.#entries.use(key);
    if (entry === undefined) return undefined;
    const { reply, since } = entry;
    const age = Math.floor((this.#stack.now - since) / 1000);
    return age < Math.min(reply.lifetime, MAX_LIFETIME) ? { reply, age } : undefined;
  }

  /** Caches an answer, if it may be cached. */
  keep(key: string, reply: DnsReply): void {
    if (reply.lifetime > 0 && reply.message.length <= MAX_SIZE) {
      this.#entries.set(key, { reply, since: this.#stack.now });
    }
  }

  /** Empties the cache. */
  clear(): void {
    this.#entries.clear();
  }
}
