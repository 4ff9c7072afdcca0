/**
 * TFTP messages (RFC 1350) with options (RFC 2347): requests of guests and the answers.
 * @module
 */

/** Port of the server for requests. */
export const TFTP_PORT = 69;

const READ = 1;
const WRITE = 2;
const DATA = 3;
const ACKNOWLEDGEMENT = 4;
const ERROR = 5;
const OPTIONS = 6;

/** Error codes (RFC 1350, appendix). */
export const TFTP_NOT_FOUND = 1;
const TFTP_ACCESS = 2;
const TFTP_ILLEGAL = 4;

/** Default block size, bytes (RFC 1350). */
const USUAL_BLOCK = 512;
/** Maximum blocks sent ahead of an acknowledgement: 64 of 1,432 bytes are 90 KB. */
const MOST_AHEAD = 64;
const MOST_TIMEOUT_SECONDS = 255;

/** A read request with its options bounded. */
export interface TftpRequest {
  readonly path: string;
  /** Block size, bytes, 8 to the allowed maximum (RFC 2348). */
  readonly blockSize: number;
  /** Blocks sent ahead of an acknowledgement (RFC 7440); 1 by default. */
  readonly window: number;
  /** Retransmission time, ms (RFC 2349); `undefined` if the guest leaves it to the server. */
  readonly timeoutMs: number | undefined;
  /** The options to acknowledge, with their values; `tsize` is filled in when the file is known. */
  readonly options: ReadonlyMap<string, number>;
}

/** A datagram to the server's port: a request, or the error to answer it with. */
export type TftpAsked = TftpRequest | { readonly code: number; readonly message: string };

/**
 * Parses a datagram to port 69.
 * @param mostBlock the largest block that fits a packet, bytes
 * @returns `undefined` if it is not a request
 */
export function readRequest(bytes: Uint8Array, mostBlock: number): TftpAsked | undefined {
  if (bytes.length < 4 || bytes[0] !== 0) return undefined;
  if (bytes[1] === WRITE) return { code: TFTP_ACCESS, message: "files are only read here" };
  if (bytes[1] !== READ) return undefined;
  const texts = textsOf(bytes);
  const [path, mode] = texts;
  if (path === undefined || path === "" || mode === undefined) {
    return { code: TFTP_ILLEGAL, message: "a request has a file and a mode" };
  }
  if (!/^(octet|netascii)$/i.test(mode)) return { code: TFTP_ILLEGAL, message: "the mode is octet" };
  return { path, ...readOptions(texts.slice(2), mostBlock) };
}

function readOptions(texts: readonly string[], mostBlock: number): Omit<TftpRequest, "path"> {
  const options = new Map<string, number>();
  let blockSize = USUAL_BLOCK;
  let window = 1;
  let timeoutMs: number | undefined;
  for (let i = 0; i + 1 < texts.length; i += 2) {
    const name = texts[i].toLowerCase();
    const value = /^\d{1,10}$/.test(texts[i + 1]) ? Number(texts[i + 1]) : -1;
    if (name === "blksize" && value >= 8) {
      blockSize = Math.min(value, mostBlock);
      options.set(name, blockSize);
    } else if (name === "windowsize" && value >= 1) {
      window = Math.min(value, MOST_AHEAD);
      options.set(name, window);
    } else if (name === "timeout" && value >= 1 && value <= MOST_TIMEOUT_SECONDS) {
      timeoutMs = value * 1000;
      options.set(name, value);
    } else if (name === "tsize" && value >= 0) {
      options.set(name, value);
    }
  }
  return { blockSize, window, timeoutMs, options };
}

/** The zero-terminated texts after the opcode; one without a zero is left out. */
function textsOf(bytes: Uint8Array): string[] {
  const texts: string[] = [];
  let from = 2;
  for (let end = bytes.indexOf(0, from); end >= 0; end = bytes.indexOf(0, from)) {
    texts.push(String.fromCharCode(...bytes.subarray(from, Math.min(end, from + 512))));
    from = end + 1;
  }
  return texts;
}

/** The block number that a guest acknowledges; -1 for an error message, `undefined` for anything else. */
export function readAcknowledgement(bytes: Uint8Array): number | undefined {
  if (bytes.length < 4 || bytes[0] !== 0) return undefined;
  if (bytes[1] === ERROR) return -1;
  return bytes[1] === ACKNOWLEDGEMENT ? bytes[2] * 256 + bytes[3] : undefined;
}

/** Writes the header of a data block, 4 bytes. */
export function writeDataHead(into: Uint8Array, at: number, block: number): void {
  into[at] = 0;
  into[at + 1] = DATA;
  into[at + 2] = (block >> 8) & 255;
  into[at + 3] = block & 255;
}

/** Makes an acknowledgement of options. */
export function optionsMessage(options: ReadonlyMap<string, number>): Uint8Array {
  return message(
    OPTIONS,
    [],
    [...options].flatMap(([name, value]) => [name, String(value)]),
  );
}

/** Makes an error message. */
export function errorMessage(code: number, text: string): Uint8Array {
  return message(ERROR, [0, code], [text]);
}

function message(opcode: number, head: readonly number[], texts: readonly string[]): Uint8Array {
  const bytes = texts.flatMap((text) => [...text].map((letter) => letter.charCodeAt(0) & 0x7f).concat(0));
  return Uint8Array.from([0, opcode, ...head, ...bytes]);
}
