/**
 * Names and addresses that are known here or on the host, as records to answer by.
 * @module
 */

import { parseIpv4 } from "../ip/addresses.ts";
import type { OwnRecord } from "./reply.ts";
import { TYPE_A, TYPE_ANY, TYPE_PTR } from "./wire.ts";

const REVERSE = ".in-addr.arpa";

/** An A record. */
export function addressRecord(address: string, ttl: number): OwnRecord {
  const value = parseIpv4(address) ?? 0;
  const data = Uint8Array.of(value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255);
  return { type: TYPE_A, ttl, data };
}

/** A PTR record. */
export function nameRecord(name: string, ttl: number): OwnRecord {
  const data = new Uint8Array(name.length + 2);
  let at = 0;
  for (const label of name.split(".")) {
    data[at++] = label.length;
    for (let i = 0; i < label.length; i++) data[at++] = label.charCodeAt(i);
  }
  return { type: TYPE_PTR, ttl, data };
}

/** Whether a name can be written by {@link nameRecord} and asked for (RFC 1035, 2.3.4). */
export function isName(name: string): boolean {
  return name.length <= 253 && /^[\x21-\x2d\x2f-\x7e]{1,63}(\.[\x21-\x2d\x2f-\x7e]{1,63})*$/.test(name);
}

/** Whether a question of one type, or of all, asks for records of a type. */
export function asks(asked: number, type: number): boolean {
  return asked === type || asked === TYPE_ANY;
}

/** What a name of in-addr.arpa says. */
export interface ReverseName {
  /** The octets it names, those it doesn't being 0. */
  readonly address: number;
  /** How many it names. */
  readonly octets: number;
  /** Whether it is only that, and not something below. */
  readonly isWhole: boolean;
}

/** Reads a name of in-addr.arpa (RFC 1035, 3.5); `undefined` for other names. */
export function readReverse(name: string): ReverseName | undefined {
  if (!name.endsWith(REVERSE)) return undefined;
  const labels = name.slice(0, -REVERSE.length).split(".").reverse();
  let address = 0;
  let octets = 0;
  while (octets < 4 && octets < labels.length && isOctet(labels[octets])) {
    address += Number(labels[octets]) * 2 ** (24 - 8 * octets);
    octets++;
  }
  return { address, octets, isWhole: octets === labels.length };
}

function isOctet(text: string): boolean {
  return /^(0|[1-9]\d{0,2})$/.test(text) && Number(text) < 256;
}
