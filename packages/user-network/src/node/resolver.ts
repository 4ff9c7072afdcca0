/**
 * Passes questions on to name servers: each in turn, over UDP, over TCP where the answer is too long for it. Names of
 * the hosts file are answered by it. Search lists are the business of who asks, and never applied.
 * @module
 */

import { FLAG_TRUNCATED, RCODE_NOT_IMPLEMENTED, RCODE_REFUSED, RCODE_SERVER_FAILURE } from "../dns/wire.ts";
import { askTcp, askUdp, type NameServer } from "./dns-exchange.ts";
import type { HostsFile } from "./hosts-file.ts";
import type { NameServers } from "./name-servers.ts";

/** How long each server is waited for, in the first round and the second, ms (RFC 1035, 7.2: 2 to 5 seconds). */
const ROUNDS: readonly number[] = [2000, 4000];

/** Resolves names for guests. */
export class NodeResolver {
  readonly #servers: NameServers;
  readonly #hosts: HostsFile | undefined;
  readonly #rounds: readonly number[];

  /**
   * @param hosts what is answered by the hosts file; nothing unless given
   * @param rounds how long each server is waited for, by round, ms
   */
  constructor(servers: NameServers, hosts?: HostsFile, rounds: readonly number[] = ROUNDS) {
    this.#servers = servers;
    this.#hosts = hosts;
    this.#rounds = rounds;
  }

  /** The answer to a query; rejected when no server has one. See `HostSockets.resolve`. */
  async resolve(query: Uint8Array, signal: AbortSignal): Promise<Uint8Array> {
    const known = this.#hosts?.answer(query);
    if (known !== undefined) return known;
    let second: Uint8Array | undefined;
    for (const timeoutMs of this.#rounds) {
      for (const server of this.#servers.current()) {
        const answer = await this.#ask(server, query, timeoutMs, signal);
        if (answer !== undefined && !isFailure(answer) && !isTruncated(answer)) return answer;
        if (second === undefined || isFailure(second)) second = answer ?? second;
      }
      if (second !== undefined) return second; // they all spoke, or will not
    }
    throw new Error("no name server answered");
  }

  async #ask(
    server: NameServer,
    query: Uint8Array,
    timeoutMs: number,
    signal: AbortSignal,
  ): Promise<Uint8Array | undefined> {
    const short = await askUdp(server, query, timeoutMs, signal);
    if (short === undefined && !signal.aborted) this.#servers.demote(server);
    if (short === undefined || !isTruncated(short)) return short;
    return (await askTcp(server, query, timeoutMs, signal)) ?? short;
  }
}

function isTruncated(answer: Uint8Array): boolean {
  return (((answer[2] << 8) | answer[3]) & FLAG_TRUNCATED) !== 0;
}

/** Whether a server can't or won't answer, which says nothing of what others do. */
function isFailure(answer: Uint8Array): boolean {
  const rcode = answer[3] & 15;
  return rcode === RCODE_SERVER_FAILURE || rcode === RCODE_NOT_IMPLEMENTED || rcode === RCODE_REFUSED;
}
