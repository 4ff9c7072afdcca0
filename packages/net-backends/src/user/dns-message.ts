/**
 * DNS messages (RFC 1035, 4; EDNS RFC 6891), as far as a forwarder needs them: one question read out of hostile
 * bytes, an answer written. Written here, for the libraries for it work on Node's Buffer and this runs in browsers.
 * @module
 */

import { parseIpv4 } from "./addresses.ts";
import type { DnsRecord, DnsRecordType } from "./host-sockets.ts";

export const RCODE_OK = 0;
const RCODE_FORMAT_ERROR = 1;
export const RCODE_SERVER_FAILURE = 2;
export const RCODE_NO_SUCH_NAME = 3;
export const RCODE_NOT_IMPLEMENTED = 4;
export const RCODE_REFUSED = 5;

export const TYPE_A = 1;
export const TYPE_AAAA = 28;
export const TYPE_HTTPS = 65;
const TYPE_OPT = 41;
const CLASS_IN = 1;
const HEADER = 12;
const MAX_NAME = 255;
/** What a client takes over UDP that says nothing of it (RFC 1035, 4.2.1). */
const PLAIN_UDP_SIZE = 512;
/** What we send over UDP at most: larger answers might be fragmented (RFC 9715). */
const MAX_UDP_SIZE = 1232;
const DEFAULT_TTL = 60;
/** Bytes of our OPT record. */
const OPT_LENGTH = 11;
/** The largest message, and a record more, for its length is seen only when it is written. */
const BUFFER_SIZE = 0x2_0000;

const TYPE_NUMBERS: Readonly<Record<DnsRecordType, number>> = {
  A: 1,
  NS: 2,
  CNAME: 5,
  PTR: 12,
  MX: 15,
  TXT: 16,
  SRV: 33,
};

/** The name of a type the host can be asked for; `undefined` for all others. */
export function recordTypeOf(type: number): DnsRecordType | undefined {
  for (const [name, value] of Object.entries(TYPE_NUMBERS)) if (value === type) return name as DnsRecordType;
  return undefined;
}

/** A question. */
export interface DnsQuestion {
  readonly id: number;
  /** Header flags of the question. */
  readonly flags: number;
  /** In lower case, labels joined by dots, without one at the end; bytes outside ASCII as Latin-1. */
  readonly name: string;
  readonly type: number;
  /** Whether it asks of the Internet (class IN). */
  readonly internet: boolean;
  /** The question section as it came, to be sent back. */
  readonly section: Uint8Array;
  /** Bytes the client takes over UDP. */
  readonly udpSize: number;
  /** Whether the client speaks EDNS. */
  readonly edns: boolean;
}

/**
 * Reads a question.
 * @returns the question; or the `RCODE_*` to refuse it by; or `undefined` when it does not even ask
 */
export function readQuestion(bytes: Uint8Array): DnsQuestion | number | undefined {
  if (bytes.length < HEADER) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const flags = view.getUint16(2);
  if ((flags & 0x8000) !== 0) return undefined; // an answer: answering it could go on for ever
  if ((flags & 0x7800) !== 0) return RCODE_NOT_IMPLEMENTED;
  if (view.getUint16(4) !== 1) return RCODE_FORMAT_ERROR;
  let at = HEADER;
  let name = "";
  for (;;) {
    const length = at < bytes.length ? bytes[at++] : -1;
    if (length === 0) break;
    // A pointer has nothing to point to in front of the first name.
    if (length < 0 || length > 63 || at + length > bytes.length || at + length - HEADER > MAX_NAME) {
      return RCODE_FORMAT_ERROR;
    }
    if (name !== "") name += ".";
    for (let i = 0; i < length; i++) name += String.fromCharCode(bytes[at + i]);
    at += length;
  }
  if (at + 4 > bytes.length) return RCODE_FORMAT_ERROR;
  const type = view.getUint16(at);
  const internet = view.getUint16(at + 2) === CLASS_IN;
  at += 4;
  const size = ednsSize(view, at);
  return {
    id: view.getUint16(0),
    flags,
    name: name.toLowerCase(),
    type,
    internet,
    section: bytes.slice(HEADER, at),
    udpSize: Math.min(MAX_UDP_SIZE, Math.max(PLAIN_UDP_SIZE, size)),
    edns: size >= 0,
  };
}

/** The UDP size of an OPT record that follows the question at once, as it does in every question seen; -1 if none. */
function ednsSize(view: DataView, at: number): number {
  const isOpt = view.getUint16(10) > 0 && at + 11 <= view.byteLength && view.getUint8(at) === 0;
  return isOpt && view.getUint16(at + 1) === TYPE_OPT ? view.getUint16(at + 3) : -1;
}

/** An answer without records, to a question that could not be read. */
export function writeRefusal(question: Uint8Array, rcode: number): Uint8Array {
  const bytes = new Uint8Array(HEADER);
  bytes.set(question.subarray(0, 2));
  bytes[2] = 0x80 | (question[2] & 0x79);
  bytes[3] = 0x80 | rcode;
  return bytes;
}

/**
 * Writes an answer.
 * @param limit bytes it may have: what is longer is left out, and said to be (flag TC)
 */
export function writeAnswer(
  question: DnsQuestion,
  rcode: number,
  records: readonly DnsRecord[],
  limit: number,
): Uint8Array {
  const writer = new Writer(question.section, limit - (question.edns ? OPT_LENGTH : 0));
  let count = 0;
  let truncated = false;
  for (const record of records) {
    const outcome = writer.record(record);
    if (outcome === "written") count++;
    if (outcome === "full") {
      truncated = true;
      break;
    }
  }
  const additional = question.edns ? 1 : 0;
  if (question.edns) writer.opt();
  // Answer, the question's opcode and RD, RA.
  const flags = 0x8080 | (question.flags & 0x0100) | (truncated ? 0x0200 : 0) | rcode;
  return writer.end(question.id, flags, count, additional);
}

/** Appends records to a message. Names are not compressed but for the question's own. */
class Writer {
  readonly #bytes = new Uint8Array(BUFFER_SIZE);
  readonly #view = new DataView(this.#bytes.buffer);
  readonly #limit: number;
  #length: number;

  /** @param limit bytes of question and records at most, 64 KiB at most */
  constructor(section: Uint8Array, limit: number) {
    this.#bytes.set(section, HEADER);
    this.#length = HEADER + section.length;
    this.#limit = limit;
  }

  /** Appends a record, whole or not at all: it may not fit any more, or be none that can be written. */
  record(record: DnsRecord): "written" | "full" | "unwritable" {
    const before = this.#length;
    const isWritable = this.#record(record);
    if (isWritable && this.#length <= this.#limit) return "written";
    this.#length = before;
    return isWritable ? "full" : "unwritable";
  }

  #record(record: DnsRecord): boolean {
    if (record.name === undefined) this.#uint16(0xc000 | HEADER);
    else if (!this.#name(record.name)) return false;
    this.#uint16(TYPE_NUMBERS[record.type]);
    this.#uint16(CLASS_IN);
    this.#uint32(Math.min(Math.max(0, record.ttl ?? DEFAULT_TTL), 0x7fff_ffff));
    const lengthAt = this.#length;
    this.#length += 2;
    if (!this.#data(record)) return false;
    this.#view.setUint16(lengthAt, this.#length - lengthAt - 2);
    return true;
  }

  /** Appends our OPT record (RFC 6891, 6.1.2). */
  opt(): void {
    this.#bytes[this.#length++] = 0;
    this.#uint16(TYPE_OPT);
    this.#uint16(MAX_UDP_SIZE);
    this.#uint32(0);
    this.#uint16(0);
  }

  end(id: number, flags: number, answers: number, additional: number): Uint8Array {
    const view = this.#view;
    view.setUint16(0, id);
    view.setUint16(2, flags);
    view.setUint16(4, 1);
    view.setUint16(6, answers);
    view.setUint16(10, additional);
    return this.#bytes.slice(0, this.#length);
  }

  #data(record: DnsRecord): boolean {
    switch (record.type) {
      case "A": {
        const address = parseIpv4(record.address);
        if (address === undefined) return false;
        this.#uint32(address);
        return true;
      }
      case "CNAME":
      case "NS":
      case "PTR":
        return this.#name(record.target);
      case "MX":
        this.#uint16(record.preference);
        return this.#name(record.target);
      case "SRV":
        this.#uint16(record.priority);
        this.#uint16(record.weight);
        this.#uint16(record.port);
        return this.#name(record.target);
      case "TXT":
        return record.strings.length > 0 && record.strings.every((text) => this.#text(text));
    }
  }

  #name(name: string): boolean {
    const trimmed = name.replace(/\.$/, "");
    if (trimmed.length > 253) return false;
    for (const label of trimmed === "" ? [] : trimmed.split(".")) {
      if (label.length === 0 || label.length > 63 || !this.#text(label)) return false;
    }
    this.#bytes[this.#length++] = 0;
    return true;
  }

  /** A length and so many characters. */
  #text(text: string): boolean {
    if (text.length > 255 || this.#length + text.length >= BUFFER_SIZE) return false;
    this.#bytes[this.#length++] = text.length;
    for (let i = 0; i < text.length; i++) this.#bytes[this.#length++] = text.charCodeAt(i);
    return true;
  }

  #uint16(value: number): void {
    this.#view.setUint16(this.#length, value);
    this.#length += 2;
  }

  #uint32(value: number): void {
    this.#view.setUint32(this.#length, value);
    this.#length += 4;
  }
}
