/**
 * The name servers to ask: the given ones, or those in the system's current configuration.
 * @module
 */

import { Resolver } from "node:dns";
import { isIP } from "node:net";
import { UserNetworkError } from "../errors.ts";
import type { NameServer } from "./dns-exchange.ts";

const DNS_PORT = 53;
/** Minimum interval between reads of the system's configuration, ms. */
const FRESH_MS = 1000;

/** The name servers to ask. */
export class NameServers {
  readonly #read: () => readonly string[];
  readonly #now: () => number;
  #servers: readonly NameServer[] = [];
  #readAt = Number.NEGATIVE_INFINITY;

  /**
   * @param read reads the system's configuration
   * @param now the time, ms
   */
  constructor(read: () => readonly string[] = systemServers, now: () => number = () => performance.now()) {
    this.#read = read;
    this.#now = now;
  }

  /** The current servers, in the order to ask them. */
  current(): readonly NameServer[] {
    const now = this.#now();
    if (now - this.#readAt < FRESH_MS) return this.#servers;
    this.#readAt = now;
    const servers = this.#read().flatMap((text) => parseServer(text) ?? []);
    if (!isSame(servers, this.#servers)) this.#servers = servers;
    return this.#servers;
  }

  /** A server did not answer: asks the others first, until the configuration changes or they do not answer either. */
  demote(server: NameServer): void {
    if (this.#servers[0] === server) this.#servers = [...this.#servers.slice(1), server];
  }
}

/**
 * Checks the addresses of name servers.
 * @throws UserNetworkError `BAD_ADDRESS`
 */
export function requireServers(servers: readonly string[]): readonly string[] {
  for (const server of servers) {
    if (parseServer(server) !== undefined) continue;
    throw new UserNetworkError("BAD_ADDRESS", `a name server is "${server}": expected one like 9.9.9.9 or [::1]:5353`);
  }
  return servers;
}

/** Parses `9.9.9.9`, `10.0.0.1:5353`, `::1` or `[::1]:5353`; `undefined` for anything else. */
export function parseServer(text: string): NameServer | undefined {
  if (isIP(text) !== 0) return { address: text, port: DNS_PORT };
  const match = /^(?:\[([^\]]+)\]|([\d.]+)):(\d{1,5})$/.exec(text);
  const address = match?.[1] ?? match?.[2] ?? "";
  const port = Number(match?.[3]);
  return isIP(address) !== 0 && port > 0 && port < 0x1_0000 ? { address, port } : undefined;
}

/** A new resolver reads the system's configuration again, in each platform's way. */
function systemServers(): readonly string[] {
  return new Resolver().getServers();
}

/** Whether both have the same servers, in any order. */
function isSame(a: readonly NameServer[], b: readonly NameServer[]): boolean {
  const key = (servers: readonly NameServer[]): string =>
    servers
      .map(({ address, port }) => `${address} ${port}`)
      .sort()
      .join();
  return key(a) === key(b);
}
