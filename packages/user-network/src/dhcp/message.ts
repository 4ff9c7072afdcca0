/**
 * DHCP messages (RFC 2131, 2; options RFC 2132) and BOOTP messages (RFC 951, RFC 1497), which differ only in their
 * options: parses untrusted requests, writes replies.
 * @module
 */

/** The type used for a plain BOOTP request, which has none. */
export const BOOTP = 0;
export const DHCP_DISCOVER = 1;
export const DHCP_OFFER = 2;
export const DHCP_REQUEST = 3;
export const DHCP_DECLINE = 4;
export const DHCP_ACK = 5;
export const DHCP_NAK = 6;
export const DHCP_RELEASE = 7;
export const DHCP_INFORM = 8;

export const OPTION_SUBNET_MASK = 1;
export const OPTION_ROUTER = 3;
export const OPTION_DNS = 6;
export const OPTION_HOSTNAME = 12;
export const OPTION_DOMAIN = 15;
export const OPTION_MTU = 26;
export const OPTION_BROADCAST = 28;
const OPTION_REQUESTED_ADDRESS = 50;
export const OPTION_LEASE_TIME = 51;
const OPTION_MESSAGE_TYPE = 53;
export const OPTION_SERVER = 54;
export const OPTION_MESSAGE = 56;
const OPTION_MAX_SIZE = 57;
const OPTION_VENDOR_CLASS = 60;
export const OPTION_CLIENT_ID = 61;
export const OPTION_BOOT_SERVER = 66;
export const OPTION_BOOT_FILE = 67;
const OPTION_USER_CLASS = 77;
const OPTION_ARCHITECTURE = 93;

const PAD = 0;
const END = 255;
const BOOT_REQUEST = 1;
const BOOT_REPLY = 2;
const ETHERNET = 1;
const COOKIE = 0x6382_5363;
const SERVER_AT = 20;
const SERVER_NAME_AT = 44;
const SERVER_NAME_SIZE = 64;
const FILE_AT = 108;
const FILE_SIZE = 128;
const COOKIE_AT = 236;
const OPTIONS_AT = 240;
/** BOOTP's length (RFC 951): some clients reject shorter messages, and BOOTP clients read no more. */
const BOOTP_LENGTH = 300;
/** The minimum that a DHCP client must accept (RFC 2131, 2), without IP and UDP headers. */
const DHCP_LENGTH = 548;
const IP_AND_UDP = 28;

/** A guest's request. */
export interface DhcpRequest {
  /** `DHCP_DISCOVER` and so on, or `BOOTP`. */
  readonly type: number;
  readonly transaction: number;
  /** Whether the answer must be broadcast. */
  readonly broadcast: boolean;
  /** The address the client already uses, 0 for none. */
  readonly clientAddress: number;
  /** The relay it came through, 0 for none. */
  readonly relay: number;
  /** The client's MAC address, 6 bytes. */
  readonly mac: Uint8Array;
  /** The address the client asks for, 0 for none. */
  readonly requested: number;
  /** The server the client has chosen, 0 for none. */
  readonly server: number;
  /** The client's identifier, to be sent back (RFC 6842). */
  readonly clientId: Uint8Array | undefined;
  /** Bytes of the longest message the client accepts. */
  readonly maxLength: number;
  readonly vendorClass: string | undefined;
  readonly userClasses: readonly string[];
  readonly architecture: number | undefined;
}

/** Parses a message; `undefined` if it is not a request to a server. */
export function readDhcp(bytes: Uint8Array): DhcpRequest | undefined {
  if (bytes.length < OPTIONS_AT) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (bytes[0] !== BOOT_REQUEST || bytes[1] !== ETHERNET || bytes[2] !== 6) return undefined;
  // Without the cookie the options are the vendor's own: treat it as a plain BOOTP request.
  const options = view.getUint32(COOKIE_AT) === COOKIE ? readOptions(bytes) : new Map<number, Uint8Array>();
  if (options === undefined) return undefined;
  const given = options.get(OPTION_MESSAGE_TYPE);
  const type = given === undefined ? BOOTP : numberOf(given, 1);
  const isBootp = given === undefined && bytes.length >= BOOTP_LENGTH;
  if (type === undefined || (type === BOOTP && !isBootp)) return undefined;
  const clientId = options.get(OPTION_CLIENT_ID);
  const vendorClass = options.get(OPTION_VENDOR_CLASS);
  return {
    type,
    transaction: view.getUint32(4),
    broadcast: (view.getUint16(10) & 0x8000) !== 0,
    clientAddress: view.getUint32(12),
    relay: view.getUint32(24),
    mac: bytes.slice(28, 34),
    requested: numberOf(options.get(OPTION_REQUESTED_ADDRESS), 4) ?? 0,
    server: numberOf(options.get(OPTION_SERVER), 4) ?? 0,
    clientId: clientId !== undefined && clientId.length >= 2 ? clientId : undefined,
    maxLength: Math.max(DHCP_LENGTH, (numberOf(options.get(OPTION_MAX_SIZE), 2) ?? 0) - IP_AND_UDP),
    vendorClass: vendorClass === undefined ? undefined : textOf(vendorClass),
    userClasses: readUserClasses(options.get(OPTION_USER_CLASS)),
    architecture: numberOf(options.get(OPTION_ARCHITECTURE)?.subarray(0, 2), 2), // the first, if it names several
  };
}

/** All options by code; `undefined` if a length is invalid. The parts of a repeated option are joined (RFC 3396). */
function readOptions(bytes: Uint8Array): Map<number, Uint8Array> | undefined {
  const options = new Map<number, Uint8Array>();
  for (let at = OPTIONS_AT; at < bytes.length; ) {
    const code = bytes[at++];
    if (code === END) break;
    if (code === PAD) continue;
    const length = at < bytes.length ? bytes[at++] : 255;
    if (at + length > bytes.length) return undefined;
    const before = options.get(code);
    const part = bytes.slice(at, at + length);
    options.set(code, before === undefined ? part : Uint8Array.of(...before, ...part));
    at += length;
  }
  return options;
}

/** The number in an option of `length` bytes; `undefined` if it has another length. */
function numberOf(bytes: Uint8Array | undefined, length: number): number | undefined {
  return bytes?.length === length ? bytes.reduce((value, byte) => value * 256 + byte, 0) : undefined;
}

function textOf(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes);
}

/** Each user class has a length (RFC 3004); iPXE and others send one without. */
function readUserClasses(bytes: Uint8Array | undefined): readonly string[] {
  if (bytes === undefined) return [];
  const classes: string[] = [];
  let at = 0;
  while (at < bytes.length) {
    const end = at + 1 + bytes[at];
    if (bytes[at] === 0 || end > bytes.length) return [textOf(bytes)];
    classes.push(textOf(bytes.subarray(at + 1, end)));
    at = end;
  }
  return classes;
}

/** Writes an answer, option by option. An option that does not fit is left out: add the most important first. */
export class DhcpReply {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #type: number;
  /** End of the space for options. */
  readonly #limit: number;
  #at = OPTIONS_AT;

  /**
   * @param bytes the target, at least 548 bytes
   * @param address the address given to the client, 0 for none
   */
  constructor(bytes: Uint8Array, request: DhcpRequest, type: number, address: number) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#type = type;
    this.#limit = type === BOOTP ? BOOTP_LENGTH : Math.min(bytes.length, request.maxLength);
    bytes.fill(0);
    bytes[0] = BOOT_REPLY;
    bytes[1] = ETHERNET;
    bytes[2] = 6;
    this.#view.setUint32(4, request.transaction);
    this.#view.setUint16(10, request.broadcast ? 0x8000 : 0);
    this.#view.setUint32(12, type === DHCP_NAK ? 0 : request.clientAddress);
    this.#view.setUint32(16, address);
    bytes.set(request.mac, 28);
    this.#view.setUint32(COOKIE_AT, COOKIE);
    if (type !== BOOTP) this.bytes(OPTION_MESSAGE_TYPE, Uint8Array.of(type));
  }

  /** Writes the boot server and file. Names end with a 0; one that does not fit into its field is left out. */
  boot(server: number, serverName: string, file: string): void {
    this.#view.setUint32(SERVER_AT, server);
    if (serverName.length < SERVER_NAME_SIZE) this.#letters(SERVER_NAME_AT, serverName);
    if (file.length < FILE_SIZE) this.#letters(FILE_AT, file);
  }

  /** Adds an option of 4 bytes: an address, or seconds. */
  uint32(code: number, value: number): void {
    if (!this.#head(code, 4)) return;
    this.#view.setUint32(this.#at, value);
    this.#at += 4;
  }

  /** Adds an option of 2 bytes. */
  uint16(code: number, value: number): void {
    if (!this.#head(code, 2)) return;
    this.#view.setUint16(this.#at, value);
    this.#at += 2;
  }

  /** Adds an option of ASCII characters. */
  text(code: number, value: string): void {
    if (!this.#head(code, value.length)) return;
    this.#letters(this.#at, value);
    this.#at += value.length;
  }

  /** Adds an option of bytes. */
  bytes(code: number, value: Uint8Array): void {
    if (!this.#head(code, value.length)) return;
    this.#bytes.set(value, this.#at);
    this.#at += value.length;
  }

  /**
   * Ends the options; returns the length of the message. A BOOTP reply is padded to 548 bytes: WatTCP rejects one of
   * 300 (dosemu2#1504), and other clients read only the first 300.
   */
  end(): number {
    this.#bytes[this.#at++] = END;
    return this.#type === BOOTP ? DHCP_LENGTH : Math.max(this.#at, BOOTP_LENGTH);
  }

  #letters(at: number, text: string): void {
    for (let i = 0; i < text.length; i++) this.#bytes[at + i] = text.charCodeAt(i);
  }

  /** Begins an option, if it fits together with the end marker. */
  #head(code: number, length: number): boolean {
    if (length > 255 || this.#at + 2 + length + 1 > this.#limit) return false;
    this.#bytes[this.#at++] = code;
    this.#bytes[this.#at++] = length;
    return true;
  }
}
