/**
 * Answers: parses and checks the reply of a name server, or makes one of its own, and writes it for a client: with the
 * client's id, letter case, EDNS and size limit, and TTLs reduced by the answer's age.
 * @module
 */

import type { DnsQuestion } from "./question.ts";
import {
  CLASS_IN,
  DNS_HEADER,
  FLAG_AUTHENTIC_DATA,
  FLAG_CHECKING_DISABLED,
  FLAG_OPCODE,
  FLAG_RECURSION_AVAILABLE,
  FLAG_RECURSION_DESIRED,
  FLAG_RESPONSE,
  FLAG_TRUNCATED,
  fold,
  OPT_LENGTH,
  RCODE_NO_SUCH_NAME,
  RCODE_OK,
  RCODE_SERVER_FAILURE,
  type RecordPlace,
  recordAt,
  TYPE_ANY,
  TYPE_OPT,
  TYPE_SOA,
  viewOf,
  writeOpt,
} from "./wire.ts";

/** A record of an answer. */
interface Place extends RecordPlace {
  /** 0 answer, 1 authority, 2 additional. */
  readonly section: number;
}

/** An answer, independent of the client. */
export interface DnsReply {
  /** 12 bits (RFC 6891, 6.1.3). */
  readonly rcode: number;
  /** Whether it was truncated; the client should ask again over TCP. */
  readonly truncated: boolean;
  /** Whether the server has validated it (RFC 4035). */
  readonly authentic: boolean;
  /** The message: an unused header, the question, the records. No OPT record. */
  readonly message: Uint8Array;
  /** Its records. */
  readonly places: readonly Place[];
  /** Lifetime in the cache, seconds; 0: do not cache. */
  readonly lifetime: number;
}

/** A record of our own; its name is the one asked for. */
export interface OwnRecord {
  readonly type: number;
  /** Seconds. */
  readonly ttl: number;
  readonly data: Uint8Array;
}

/** Writes an answer without records, to a question that could not be parsed. */
export function writeRefusal(question: Uint8Array, rcode: number): Uint8Array {
  const bytes = new Uint8Array(DNS_HEADER);
  const view = viewOf(bytes);
  const asked = viewOf(question);
  view.setUint16(0, asked.getUint16(0));
  const kept = asked.getUint16(2) & (FLAG_OPCODE | FLAG_RECURSION_DESIRED | FLAG_CHECKING_DISABLED);
  view.setUint16(2, FLAG_RESPONSE | FLAG_RECURSION_AVAILABLE | kept | rcode);
  return bytes;
}

/** Makes an answer of our own. */
export function ownReply(question: DnsQuestion, rcode: number, records: readonly OwnRecord[] = []): DnsReply {
  const start = DNS_HEADER + question.section.length;
  const length = records.reduce((sum, { data }) => sum + 12 + data.length, start);
  const message = new Uint8Array(length);
  const view = viewOf(message);
  message.set(question.section, DNS_HEADER);
  const places: Place[] = [];
  let at = start;
  for (const { type, ttl, data } of records) {
    view.setUint16(at, 0xc000 | DNS_HEADER);
    view.setUint16(at + 2, type);
    view.setUint16(at + 4, CLASS_IN);
    view.setUint32(at + 6, ttl);
    view.setUint16(at + 10, data.length);
    message.set(data, at + 12);
    const end = at + 12 + data.length;
    places.push({ type, class: CLASS_IN, ttlAt: at + 6, dataAt: at + 12, end, section: 0 });
    at = end;
  }
  return { rcode, truncated: false, authentic: false, message, places, lifetime: 0 };
}

/** Whether a message answers a query: same id and same question (RFC 5452, 9.1). */
export function isAnswerTo(query: Uint8Array, message: Uint8Array): boolean {
  if (message.length < DNS_HEADER) return false;
  const view = viewOf(message);
  const asked = viewOf(query);
  const flags = view.getUint16(2);
  if (view.getUint16(0) !== asked.getUint16(0)) return false;
  if ((flags & (FLAG_RESPONSE | FLAG_OPCODE)) !== FLAG_RESPONSE) return false;
  const questions = view.getUint16(4);
  // A server that could not parse the question may leave it out.
  if (questions === 0) return (flags & 15) !== RCODE_OK && (flags & 15) !== RCODE_NO_SUCH_NAME;
  const end = endOfQuestion(query);
  if (questions !== 1) return false;
  for (let i = DNS_HEADER; i < end; i++) {
    // Type and class are not letters, so they must be equal; label lengths are below the letters.
    if (i < end - 4 ? fold(message[i]) !== fold(query[i]) : message[i] !== query[i]) return false;
  }
  return true;
}

/**
 * Parses the answer to a query.
 * @returns `undefined` if it does not answer the query, or is malformed
 */
export function readReply(query: Uint8Array, bytes: Uint8Array): DnsReply | undefined {
  if (!isAnswerTo(query, bytes)) return undefined;
  const view = viewOf(bytes);
  const flags = view.getUint16(2);
  const truncated = (flags & FLAG_TRUNCATED) !== 0;
  const start = endOfQuestion(query);
  // The records of a truncated answer are useless: it may end in the middle of a set (RFC 2181, 9).
  const isBare = truncated || view.getUint16(4) === 0;
  const found = isBare ? { places: [], rcode: 0 } : readRecords(bytes, view, start);
  if (found === undefined) return undefined;
  const { places } = found;
  const rcode = found.rcode | (flags & 15);
  // Copied, because the buffer may be reused.
  const message = isBare ? query.slice(0, start) : bytes.slice(0, places.at(-1)?.end ?? start);
  const isWhole = !isBare && (rcode === RCODE_OK || rcode === RCODE_NO_SUCH_NAME);
  const type = viewOf(query).getUint16(start - 4);
  const lifetime = isWhole ? lifetimeOf(viewOf(message), places, rcode, type) : 0;
  return { rcode, truncated, authentic: (flags & FLAG_AUTHENTIC_DATA) !== 0, message, places, lifetime };
}

/**
 * Writes an answer for a client.
 * @param age age of the answer, whole seconds; below all its TTLs
 * @param limit maximum bytes: records that don't fit are left out, and flag TC is set unless they are only additional
 * ones (RFC 2181, 9)
 */
export function writeReply(question: DnsQuestion, reply: DnsReply, age: number, limit: number): Uint8Array {
  const { section, edns } = question;
  const optLength = edns === undefined ? 0 : OPT_LENGTH;
  const counts = [0, 0, 0];
  let end = DNS_HEADER + section.length;
  let truncated = reply.truncated;
  for (const place of reply.places) {
    if (place.end + optLength > limit) {
      truncated ||= place.section < 2;
      break;
    }
    end = place.end;
    counts[place.section]++;
  }
  const bytes = new Uint8Array(end + optLength);
  const view = viewOf(bytes);
  bytes.set(reply.message.subarray(0, end));
  bytes.set(section, DNS_HEADER);
  for (const { ttlAt } of reply.places) {
    if (ttlAt < end) view.setUint32(ttlAt, ttlOf(view, ttlAt) - age);
  }
  // Without EDNS, codes above 15 can't be expressed.
  const rcode = edns === undefined && reply.rcode > 15 ? RCODE_SERVER_FAILURE : reply.rcode;
  let flags = FLAG_RESPONSE | FLAG_RECURSION_AVAILABLE | (rcode & 15);
  flags |= question.flags & (FLAG_RECURSION_DESIRED | FLAG_CHECKING_DISABLED);
  if (truncated) flags |= FLAG_TRUNCATED;
  if (reply.authentic) flags |= FLAG_AUTHENTIC_DATA;
  view.setUint16(0, question.id);
  view.setUint16(2, flags);
  view.setUint16(4, 1);
  view.setUint16(6, counts[0]);
  view.setUint16(8, counts[1]);
  view.setUint16(10, counts[2] + (edns === undefined ? 0 : 1));
  if (edns !== undefined) writeOpt(view, end, rcode, edns.dnssecOk);
  return bytes;
}

/** Offset after the question of a query that we wrote. */
function endOfQuestion(query: Uint8Array): number {
  let at = DNS_HEADER;
  while (query[at] !== 0) at += 1 + query[at];
  return at + 5;
}

/** Parses the records of an answer, up to its OPT record, and the upper bits of the response code in it. */
function readRecords(bytes: Uint8Array, view: DataView, at: number): { places: Place[]; rcode: number } | undefined {
  const places: Place[] = [];
  let rcode = 0;
  let hasOpt = false;
  for (let section = 0; section < 3; section++) {
    for (let left = view.getUint16(6 + section * 2); left > 0; left--) {
      const record = recordAt(bytes, view, at);
      if (record === undefined) return undefined;
      at = record.end;
      if (record.type === TYPE_OPT) {
        if (section !== 2 || hasOpt) return undefined;
        hasOpt = true;
        rcode = view.getUint8(record.ttlAt) << 4;
      } else if (!hasOpt) {
        // Records after the OPT record are dropped: removing it would shift them, and pointers to names would break. In
        // practice only signatures of the hop follow it.
        places.push({ ...record, section });
      }
    }
  }
  return { places, rcode };
}

/** Lifetime of an answer, seconds: the shortest TTL; for a negative answer, as limited by the zone's SOA. */
function lifetimeOf(view: DataView, places: readonly Place[], rcode: number, type: number): number {
  let lifetime = Number.POSITIVE_INFINITY;
  let isPositive = false;
  let hasSoa = false;
  for (const place of places) {
    lifetime = Math.min(lifetime, ttlOf(view, place.ttlAt));
    if (place.section === 0 && (place.type === type || type === TYPE_ANY)) isPositive = true;
    if (place.section === 1 && place.type === TYPE_SOA && place.end - place.dataAt >= 22) {
      hasSoa = true;
      lifetime = Math.min(lifetime, view.getUint32(place.end - 4)); // MINIMUM, its last field (RFC 2308, 5)
    }
  }
  return (isPositive && rcode === RCODE_OK) || hasSoa ? lifetime : 0;
}

/** A TTL, seconds. The uppermost bit is never set (RFC 2181, 8). */
function ttlOf(view: DataView, at: number): number {
  const ttl = view.getUint32(at);
  return ttl > 0x7fff_ffff ? 0 : ttl;
}
