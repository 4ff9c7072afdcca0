/**
 * DNS wire format (RFC 1035, 4.1; RFC 6891): constants, and names and records in untrusted bytes.
 *
 * We do not use a library, because a forwarder needs only a little of the format (questions, TTLs, OPT), and the
 * libraries work on Node's Buffer, while this runs in browsers.
 * @module
 */

export const RCODE_OK = 0;
export const RCODE_FORMAT_ERROR = 1;
export const RCODE_SERVER_FAILURE = 2;
export const RCODE_NO_SUCH_NAME = 3;
export const RCODE_NOT_IMPLEMENTED = 4;
export const RCODE_REFUSED = 5;
/** RFC 6891, 9. */
export const RCODE_BAD_VERSION = 16;

export const TYPE_A = 1;
export const TYPE_SOA = 6;
export const TYPE_PTR = 12;
export const TYPE_AAAA = 28;
export const TYPE_OPT = 41;
export const TYPE_IXFR = 251;
export const TYPE_AXFR = 252;
export const TYPE_ANY = 255;
export const CLASS_IN = 1;

export const FLAG_RESPONSE = 0x8000;
export const FLAG_OPCODE = 0x7800;
export const FLAG_TRUNCATED = 0x0200;
export const FLAG_RECURSION_DESIRED = 0x0100;
export const FLAG_RECURSION_AVAILABLE = 0x0080;
/** RFC 4035, 3.2. */
export const FLAG_AUTHENTIC_DATA = 0x0020;
export const FLAG_CHECKING_DISABLED = 0x0010;

/** Bytes of a header. */
export const DNS_HEADER = 12;
/** Bytes of an OPT record without options. */
export const OPT_LENGTH = 11;
/** DO, in the lower half of the TTL of an OPT record (RFC 3225). */
export const OPT_DNSSEC_OK = 0x8000;
/** Maximum bytes over UDP: larger messages might be fragmented (RFC 9715). */
export const MAX_UDP_SIZE = 1232;
/** Maximum bytes of a name, lengths and the root included. */
const MAX_NAME = 255;
/** Maximum bytes of a label. */
const MAX_LABEL = 63;

/** Maximum pointers to follow: the maximum number of labels of a name. */
const MAX_POINTERS = 127;
/** Bytes of type, class, TTL and data length. */
const RECORD_FIXED = 10;

/** The position of a record in a message. */
export interface RecordPlace {
  readonly type: number;
  readonly class: number;
  /** Offset of its TTL in the message. */
  readonly ttlAt: number;
  /** Offset of its data. */
  readonly dataAt: number;
  /** Offset after the record. */
  readonly end: number;
}

/**
 * Finds the end of the name at `at`, and follows pointers to check that the name is valid; -1 if it is not. A pointer
 * cut off by the end of the message ends after that: the caller must check that the following bytes exist.
 */
export function endOfName(bytes: Uint8Array, at: number): number {
  let end = -1;
  let length = 1;
  let pointers = 0;
  const start = at;
  for (;;) {
    if (at >= bytes.length) return -1;
    const first = bytes[at];
    if (first === 0) return end < 0 ? at + 1 : end;
    if (first <= MAX_LABEL) {
      at += 1 + first;
      length += 1 + first;
      if (length > MAX_NAME) return -1;
      continue;
    }
    if (first < 0xc0 || ++pointers > MAX_POINTERS) return -1;
    if (end < 0) end = at + 2;
    at = ((first & 0x3f) << 8) | bytes[at + 1];
    if (at < DNS_HEADER || at >= start) return -1; // to "a prior occurrence" (RFC 1035, 4.1.4)
  }
}

/** Finds a record; `undefined` if there is no complete record. */
export function recordAt(bytes: Uint8Array, view: DataView, at: number): RecordPlace | undefined {
  const fixed = endOfName(bytes, at);
  if (fixed < 0 || fixed + RECORD_FIXED > bytes.length) return undefined;
  const dataAt = fixed + RECORD_FIXED;
  const end = dataAt + view.getUint16(fixed + 8);
  if (end > bytes.length) return undefined;
  return { type: view.getUint16(fixed), class: view.getUint16(fixed + 2), ttlAt: fixed + 4, dataAt, end };
}

/** A view of bytes. */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

/** Converts a byte of a name to lower case; only ASCII letters have case (RFC 4343). */
export function fold(byte: number): number {
  return byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte;
}

/**
 * Writes an OPT record without options (RFC 6891, 6.1.2).
 * @param rcode the response code, 12 bits; its upper 8 go here
 */
export function writeOpt(view: DataView, at: number, rcode: number, dnssecOk: boolean): void {
  view.setUint8(at, 0);
  view.setUint16(at + 1, TYPE_OPT);
  view.setUint16(at + 3, MAX_UDP_SIZE);
  view.setUint8(at + 5, rcode >> 4);
  view.setUint8(at + 6, 0);
  view.setUint16(at + 7, dnssecOk ? OPT_DNSSEC_OK : 0);
  view.setUint16(at + 9, 0);
}
