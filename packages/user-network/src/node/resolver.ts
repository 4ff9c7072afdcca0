/**
 * Forwards questions to name servers: to each in turn, over UDP, and over TCP if the answer is too long for UDP. Names
 * of the hosts file are answered from it. Search lists are never applied: they are up to the client.
 * @module
 */

import { FLAG_TRUNCATED, RCODE_NOT_IMPLEMENTED, RCODE_REFUSED, RCODE_SERVER_FAILURE } from "../dns/wire.ts";
import { askTcp, askUdp, type NameServer } from "./dns-exchange.ts";
import type { HostsFile } from "./hosts-file.ts";
import type { NameServers } from "./name-servers.ts";

/** How long to wait for each server, in the first and the second round, ms (RFC 1035, 7.2: 2 to 5 seconds). */
const ROUNDS: readonly number[] = [2000, 4000];

/** Resolves names for guests. */
export class NodeResolver {
  readonly #servers: NameServers;
  readonly #hosts: HostsFile | undefined;
  readonly #rounds: readonly number[];

  /**
   * @param hosts the hosts file to answer from; none by default
   * @param rounds how long to wait for each server, by round, ms
   */
  constructor(servers: NameServers, hosts?: HostsFile, rounds: readonly number[] = ROUNDS) {
    this.#servers = servers;
    this.#hosts = hosts;
    this.#rounds = rounds;
  }

  /** The answer to a query; rejected if no server answers. See `HostSockets.resolve`. */
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
      if (second !== undefined) return second; // all servers were asked
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

/** Whether a server can't or won't answer; others still may. */
function isFailure(answer: Uint8Array): boolean {
  const rcode = answer[3] & 15;
  return rcode === RCODE_SERVER_FAILURE || rcode === RCODE_NOT_IMPLEMENTED || rcode === RCODE_REFUSED;
}
