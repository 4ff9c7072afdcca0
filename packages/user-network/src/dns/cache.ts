/**
 * Answers that are still good, by question. When there is no place for one more, the one that was not asked for the
 * longest gives way.
 * @module
 */

import { BoundedTable } from "../bounded-table.ts";
import type { Stack } from "../stack.ts";
import type { DnsReply } from "./reply.ts";

/** Seconds after which an answer is asked for anew: the host's servers may be others by then, as when a VPN came up. */
const MAX_LIFETIME = 300;
/** Bytes of an answer that is kept, at most: so the limit of answers is one of memory. */
const MAX_SIZE = 4096;

interface Entry {
  readonly reply: DnsReply;
  /** ms. */
  readonly since: number;
}

/** Answers that are still good. */
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

  /** Finds an answer, and how long it has been here, whole seconds. */
  find(key: string): { readonly reply: DnsReply; readonly age: number } | undefined {
    const entry = this.#entries.use(key);
    if (entry === undefined) return undefined;
    const { reply, since } = entry;
    const age = Math.floor((this.#stack.now - since) / 1000);
    return age < Math.min(reply.lifetime, MAX_LIFETIME) ? { reply, age } : undefined;
  }

  /** Keeps an answer, if it may be kept. */
  keep(key: string, reply: DnsReply): void {
    if (reply.lifetime > 0 && reply.message.length <= MAX_SIZE) {
      this.#entries.set(key, { reply, since: this.#stack.now });
    }
  }

  /** Forgets all. */
  clear(): void {
    this.#entries.clear();
  }
}
