/**
 * The host's hosts file: its current names and addresses. IPv4 only, like the network.
 * @module
 */

import { readFileSync, statSync } from "node:fs";
import { addressRecord, asks, isName, nameRecord, readReverse } from "../dns/names.ts";
import { readQuestion } from "../dns/question.ts";
import { ownReply, writeReply } from "../dns/reply.ts";
import { RCODE_OK, TYPE_A, TYPE_PTR } from "../dns/wire.ts";
import { parseIpv4 } from "../ip/addresses.ts";

/** Interval at which the file is checked, ms. */
const FRESH_MS = 1000;
/** Its answers are not cached: reading the file again costs as little. */
const TTL = 0;
const MAX_MESSAGE = 0xffff;

const DEFAULT_PATH: string =
  process.platform === "win32"
    ? `${process.env.SystemRoot ?? "C:\\Windows"}\\System32\\drivers\\etc\\hosts`
    : "/etc/hosts";

/** The contents of a hosts file. */
export interface Hosts {
  /** Addresses by name, in lower case. */
  readonly addresses: ReadonlyMap<string, readonly string[]>;
  /** The first name of each address. */
  readonly names: ReadonlyMap<number, string>;
}

/** Parses a hosts file; invalid names and addresses are left out. */
export function parseHosts(text: string): Hosts {
  const addresses = new Map<string, string[]>();
  const names = new Map<number, string>();
  for (const line of text.split(/\r?\n/)) {
    const [address, ...aliases] = line.replace(/#.*/, "").trim().split(/\s+/);
    const value = parseIpv4(address);
    if (value === undefined) continue;
    for (const alias of aliases) {
      const name = alias.toLowerCase().replace(/\.$/, "");
      if (!isName(name)) continue;
      const known = addresses.get(name);
      if (known === undefined) addresses.set(name, [address]);
      else if (!known.includes(address)) known.push(address);
      if (!names.has(value)) names.set(value, name);
    }
  }
  return { addresses, names };
}

/** Answers from the hosts file. */
export class HostsFile {
  readonly #path: string;
  readonly #now: () => number;
  #hosts: Hosts = parseHosts("");
  #version = "";
  #checkedAt = Number.NEGATIVE_INFINITY;

  /**
   * @param path path of the file; the system's by default
   * @param now the time, ms
   */
  constructor(path: string = DEFAULT_PATH, now: () => number = () => performance.now()) {
    this.#path = path;
    this.#now = now;
  }

  /** The answer to a query, if the file has one; it has only A and PTR records. */
  answer(query: Uint8Array): Uint8Array | undefined {
    const question = readQuestion(query);
    if (typeof question !== "object") return undefined;
    const { addresses, names } = this.#current();
    const { name, type } = question;
    const found = asks(type, TYPE_A) ? addresses.get(name) : undefined;
    const records = (found ?? []).map((address) => addressRecord(address, TTL));
    const reverse = asks(type, TYPE_PTR) ? readReverse(name) : undefined;
    const owner = reverse?.isWhole && reverse.octets === 4 ? names.get(reverse.address) : undefined;
    if (owner !== undefined) records.push(nameRecord(owner, TTL));
    return records.length === 0
      ? undefined
      : writeReply(question, ownReply(question, RCODE_OK, records), 0, MAX_MESSAGE);
  }

  /** The current contents of the file; empty if it can't be read. */
  #current(): Hosts {
    const now = this.#now();
    if (now - this.#checkedAt < FRESH_MS) return this.#hosts;
    this.#checkedAt = now;
    try {
      // Synchronous: in libuv's pool it would wait behind the process's other slow calls.
      const { mtimeMs, size, ino } = statSync(this.#path);
      const version = `${mtimeMs} ${size} ${ino}`;
      if (version !== this.#version) {
        this.#hosts = parseHosts(readFileSync(this.#path, "utf8"));
        this.#version = version;
      }
    } catch {
      this.#hosts = parseHosts("");
      this.#version = "";
    }
    return this.#hosts;
  }
}
