/**
 * Names, by the system's resolver.
 *
 * Addresses are asked for as any program of the host does (getaddrinfo: the hosts file, private names and a VPN's
 * rules count), all other records of the name servers the system is configured for. With servers given, both are
 * asked of those.
 * @module
 */

import { promises as dns } from "node:dns";
import type { DnsRecord, DnsRecordType, DnsResolution } from "../user/host-sockets.ts";

/** Resolves names for guests. */
export class NodeResolver {
  readonly #resolver: dns.Resolver = new dns.Resolver({ timeout: 4000, tries: 2 });
  readonly #hasServers: boolean;

  /** @param servers addresses of name servers, with `:port` where it isn't 53; the system's unless given */
  constructor(servers: readonly string[] | undefined) {
    this.#hasServers = servers !== undefined;
    if (servers !== undefined) this.#resolver.setServers(servers);
  }

  /** The records of a name. */
  async resolve(name: string, type: DnsRecordType): Promise<DnsResolution> {
    try {
      return type === "A" && !this.#hasServers ? await lookUp(name) : await this.#query(name, type);
    } catch (error) {
      return resolutionOf(error);
    }
  }

  async #query(name: string, type: DnsRecordType): Promise<DnsRecord[]> {
    const resolver = this.#resolver;
    switch (type) {
      case "A":
        return (await resolver.resolve4(name, { ttl: true })).map(({ address, ttl }) => ({ type, address, ttl }));
      case "CNAME":
        return (await resolver.resolveCname(name)).map((target) => ({ type, target }));
      case "NS":
        return (await resolver.resolveNs(name)).map((target) => ({ type, target }));
      case "PTR":
        return (await resolver.resolvePtr(name)).map((target) => ({ type, target }));
      case "MX":
        return (await resolver.resolveMx(name)).map(({ priority, exchange }) => ({
          type,
          preference: priority,
          target: exchange,
        }));
      case "TXT":
        return (await resolver.resolveTxt(name)).map((strings) => ({ type, strings }));
      case "SRV":
        return (await resolver.resolveSrv(name)).map(({ priority, weight, port, name: target }) => ({
          type,
          priority,
          weight,
          port,
          target,
        }));
    }
  }
}

async function lookUp(name: string): Promise<DnsRecord[]> {
  const found = await dns.lookup(name, { family: 4, all: true });
  return found.map(({ address }) => ({ type: "A", address }));
}

function resolutionOf(error: unknown): DnsResolution {
  switch (typeof error === "object" && error !== null && "code" in error ? error.code : undefined) {
    case "ENOTFOUND":
      return "no-such-name";
    case "ENODATA":
      return [];
    case "ENOTIMP":
      return "not-implemented";
    default:
      return "failed"; // EAI_AGAIN, ESERVFAIL, ETIMEOUT, EREFUSED
  }
}
