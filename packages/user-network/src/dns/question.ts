/**
 * Parses a guest's question from untrusted bytes, and writes the query that is sent to a server for it.
 * @module
 */

import {
  CLASS_IN,
  DNS_HEADER,
  endOfName,
  FLAG_AUTHENTIC_DATA,
  FLAG_CHECKING_DISABLED,
  FLAG_OPCODE,
  FLAG_RECURSION_DESIRED,
  FLAG_RESPONSE,
  fold,
  MAX_UDP_SIZE,
  OPT_DNSSEC_OK,
  OPT_LENGTH,
  RCODE_FORMAT_ERROR,
  RCODE_NOT_IMPLEMENTED,
  recordAt,
  TYPE_OPT,
  viewOf,
  writeOpt,
} from "./wire.ts";

/** Maximum UDP answer for a client without EDNS (RFC 1035, 4.2.1). */
const PLAIN_UDP_SIZE = 512;
/** The flags of a question on which the answer depends. */
const ASKED_FLAGS = FLAG_RECURSION_DESIRED | FLAG_AUTHENTIC_DATA | FLAG_CHECKING_DISABLED;

/** The contents of a client's OPT record (RFC 6891, 6.1). */
export interface DnsEdns {
  readonly version: number;
  /** Whether it wants DNSSEC records (RFC 3225). */
  readonly dnssecOk: boolean;
}

/** A question. */
export interface DnsQuestion {
  readonly id: number;
  /** Header flags. */
  readonly flags: number;
  /**
   * In lower case, labels joined by dots, without one at the end; a dot within a label is `\.`, a backslash `\\`; one
   * character per byte.
   */
  readonly name: string;
  readonly type: number;
  /** Whether its class is IN (Internet). */
  readonly internet: boolean;
  /** The question section as received, for the query and the answer: names keep their case. */
  readonly section: Uint8Array;
  /** Maximum bytes of an answer over UDP. */
  readonly udpSize: number;
  /** Its EDNS data, if it has an OPT record. */
  readonly edns: DnsEdns | undefined;
  /** Cache key: equal for questions with the same answer. */
  readonly key: string;
}

/**
 * Parses a question. The result keeps views of the bytes.
 * @returns the question; the `RCODE_*` to refuse it with; or `undefined` if the message is not a request
 */
export function readQuestion(bytes: Uint8Array): DnsQuestion | number | undefined {
  if (bytes.length < DNS_HEADER) return undefined;
  const view = viewOf(bytes);
  const flags = view.getUint16(2);
  if ((flags & FLAG_RESPONSE) !== 0) return undefined; // an answer: replying to it could loop forever
  if ((flags & FLAG_OPCODE) !== 0) return RCODE_NOT_IMPLEMENTED;
  if (view.getUint16(4) !== 1) return RCODE_FORMAT_ERROR;
  const name = readName(bytes);
  if (name === undefined || name.end + 4 > bytes.length) return RCODE_FORMAT_ERROR;
  const end = name.end + 4;
  const opt = readOpt(bytes, view, end);
  if (opt === "malformed") return RCODE_FORMAT_ERROR;
  const section = bytes.subarray(DNS_HEADER, end);
  const wanted = (flags & ASKED_FLAGS) | (opt === undefined ? 0 : 1) | (opt?.dnssecOk === true ? 2 : 0);
  return {
    id: view.getUint16(0),
    flags,
    name: name.text,
    type: view.getUint16(name.end),
    internet: view.getUint16(name.end + 2) === CLASS_IN,
    section,
    udpSize: Math.min(MAX_UDP_SIZE, Math.max(PLAIN_UDP_SIZE, opt?.size ?? 0)),
    edns: opt,
    key: `${wanted} ${view.getUint32(name.end)} ${name.text}`,
  };
}

/**
 * Writes the query for a client's question. EDNS applies to one hop (RFC 6891, 6.1.1): our own OPT record repeats that
 * the client uses EDNS and whether it wants DNSSEC, but not its options.
 */
export function writeQuery(question: DnsQuestion, id: number): Uint8Array {
  const { section, edns } = question;
  const end = DNS_HEADER + section.length;
  const bytes = new Uint8Array(end + (edns === undefined ? 0 : OPT_LENGTH));
  const view = viewOf(bytes);
  view.setUint16(0, id);
  view.setUint16(2, question.flags & ASKED_FLAGS);
  view.setUint16(4, 1);
  bytes.set(section, DNS_HEADER);
  if (edns !== undefined) {
    view.setUint16(10, 1);
    writeOpt(view, end, 0, edns.dnssecOk);
  }
  return bytes;
}

/** Parses the first name of a message. It can't be compressed: no name precedes it. */
function readName(bytes: Uint8Array): { readonly text: string; readonly end: number } | undefined {
  const end = endOfName(bytes, DNS_HEADER);
  if (end < 0) return undefined;
  let text = "";
  for (let at = DNS_HEADER; bytes[at] !== 0; ) {
    const next = at + 1 + bytes[at];
    if (text !== "") text += ".";
    while (++at < next) {
      const char = String.fromCharCode(fold(bytes[at]));
      text += char === "." || char === "\\" ? `\\${char}` : char;
    }
  }
  return { text, end };
}

/** Finds the one OPT record of a question, if any, among all its records. */
function readOpt(
  bytes: Uint8Array,
  view: DataView,
  at: number,
): (DnsEdns & { readonly size: number }) | "malformed" | undefined {
  let found: (DnsEdns & { readonly size: number }) | undefined;
  const before = view.getUint16(6) + view.getUint16(8);
  const count = before + view.getUint16(10);
  for (let i = 0; i < count; i++) {
    const record = recordAt(bytes, view, at);
    if (record === undefined) return "malformed";
    if (record.type === TYPE_OPT) {
      // RFC 6891, 6.1.1: one, in the additional section, its name the root.
      if (found !== undefined || i < before || bytes[at] !== 0) return "malformed";
      const version = view.getUint8(record.ttlAt + 1);
      const dnssecOk = (view.getUint16(record.ttlAt + 2) & OPT_DNSSEC_OK) !== 0;
      found = { size: record.class, version, dnssecOk };
    }
    at = record.end;
  }
  return found;
}
