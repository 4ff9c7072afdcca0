/**
 * Records for names and addresses that are known here or on the host.
 * @module
 */

import { parseIpv4 } from "../ip/addresses.ts";
import type { OwnRecord } from "./reply.ts";
import { TYPE_A, TYPE_ANY, TYPE_PTR } from "./wire.ts";

const REVERSE = ".in-addr.arpa";

/** Makes an A record. */
export function addressRecord(address: string, ttl: number): OwnRecord {
  const value = parseIpv4(address) ?? 0;
  const data = Uint8Array.of(value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255);
  return { type: TYPE_A, ttl, data };
}

/** Makes a PTR record. */
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

/** Whether a question of type `asked`, which may be ANY, asks for records of a type. */
export function asks(asked: number, type: number): boolean {
  return asked === type || asked === TYPE_ANY;
}

/** A parsed name of in-addr.arpa. */
export interface ReverseName {
  /** The address; octets it does not name are 0. */
  readonly address: number;
  /** Number of octets it names. */
  readonly octets: number;
  /** Whether all its labels are octets. */
  readonly isWhole: boolean;
}

/** Parses a name of in-addr.arpa (RFC 1035, 3.5); `undefined` for other names. */
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
