/**
 * The host's hosts file: its names and addresses, as they are now. IPv4 only, as the network is.
 * @module
 */

import { readFileSync, statSync } from "node:fs";
import { addressRecord, asks, isName, nameRecord, readReverse } from "../dns/names.ts";
import { readQuestion } from "../dns/question.ts";
import { ownReply, writeReply } from "../dns/reply.ts";
import { RCODE_OK, TYPE_A, TYPE_PTR } from "../dns/wire.ts";
import { parseIpv4 } from "../ip/addresses.ts";

/** The file is looked at again after so long, ms. */
const FRESH_MS = 1000;
/** Its answers are never kept: the next one is as near. */
const TTL = 0;
const MAX_MESSAGE = 0xffff;

const DEFAULT_PATH: string =
  process.platform === "win32"
    ? `${process.env.SystemRoot ?? "C:\\Windows"}\\System32\\drivers\\etc\\hosts`
    : "/etc/hosts";

/** What a hosts file says. */
export interface Hosts {
  /** By name, in lower case. */
  readonly addresses: ReadonlyMap<string, readonly string[]>;
  /** By address, the name that stands first. */
  readonly names: ReadonlyMap<number, string>;
}

/** Reads what a hosts file says; what can't be a name or an address is left out. */
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

/** Answers by the hosts file. */
export class HostsFile {
  readonly #path: string;
  readonly #now: () => number;
  #hosts: Hosts = parseHosts("");
  #version = "";
  #checkedAt = Number.NEGATIVE_INFINITY;

  /**
   * @param path of the file; the system's unless given
   * @param now the time, ms
   */
  constructor(path: string = DEFAULT_PATH, now: () => number = () => performance.now()) {
    this.#path = path;
    this.#now = now;
  }

  /** The answer to a query, if the file knows it. Of a name that it knows it knows addresses only. */
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

  /** What the file says by now; nothing when it can't be read. */
  #current(): Hosts {
    const now = this.#now();
    if (now - this.#checkedAt < FRESH_MS) return this.#hosts;
    this.#checkedAt = now;
    try {
      // At once: in libuv's pool it would wait behind whatever else of the process is slow there.
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
