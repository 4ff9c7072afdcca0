/**
 * DHCP messages (RFC 2131, 2; options RFC 2132): read out of hostile bytes, written for a guest.
 * @module
 */

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
export const OPTION_CLIENT_ID = 61;

const PAD = 0;
const END = 255;
const BOOT_REQUEST = 1;
const BOOT_REPLY = 2;
const ETHERNET = 1;
const COOKIE = 0x6382_5363;
const COOKIE_AT = 236;
const OPTIONS_AT = 240;
/** BOOTP's length (RFC 951): some clients want no less. */
const MIN_LENGTH = 300;

/** What a guest asks for. */
export interface DhcpRequest {
  /** `DHCP_DISCOVER` and so on. */
  readonly type: number;
  readonly transaction: number;
  /** Whether the answer has to be broadcast. */
  readonly broadcast: boolean;
  /** The address the client uses already, 0 for none. */
  readonly clientAddress: number;
  /** The relay it came through, 0 for none. */
  readonly relay: number;
  /** The client's MAC address, 6 bytes. */
  readonly mac: Uint8Array;
  /** The address the client would like, 0 for none. */
  readonly requested: number;
  /** The server the client has chosen, 0 for none. */
  readonly server: number;
  /** What the client calls itself, to be sent back (RFC 6842). */
  readonly clientId: Uint8Array | undefined;
}

/** Reads a message; `undefined` when it is not one a server has to look at. */
export function readDhcp(bytes: Uint8Array): DhcpRequest | undefined {
  if (bytes.length < OPTIONS_AT) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (bytes[0] !== BOOT_REQUEST || bytes[1] !== ETHERNET || bytes[2] !== 6) return undefined;
  if (view.getUint32(COOKIE_AT) !== COOKIE) return undefined;
  let type = 0;
  let requested = 0;
  let server = 0;
  let clientId: Uint8Array | undefined;
  for (let at = OPTIONS_AT; at < bytes.length; ) {
    const code = bytes[at++];
    if (code === END) break;
    if (code === PAD) continue;
    const length = at < bytes.length ? bytes[at++] : 255;
    if (at + length > bytes.length) return undefined;
    if (code === OPTION_MESSAGE_TYPE && length === 1) type = bytes[at];
    else if (code === OPTION_REQUESTED_ADDRESS && length === 4) requested = view.getUint32(at);
    else if (code === OPTION_SERVER && length === 4) server = view.getUint32(at);
    else if (code === OPTION_CLIENT_ID && length >= 2) clientId = bytes.slice(at, at + length);
    at += length;
  }
  if (type === 0) return undefined;
  return {
    type,
    transaction: view.getUint32(4),
    broadcast: (view.getUint16(10) & 0x8000) !== 0,
    clientAddress: view.getUint32(12),
    relay: view.getUint32(24),
    mac: bytes.slice(28, 34),
    requested,
    server,
    clientId,
  };
}

/** Writes an answer, option by option. */
export class DhcpReply {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = OPTIONS_AT;

  /**
   * @param bytes where it goes: 1024 bytes are always enough
   * @param address the address given to the client, 0 for none
   */
  constructor(bytes: Uint8Array, request: DhcpRequest, type: number, address: number) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
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
    this.bytes(OPTION_MESSAGE_TYPE, Uint8Array.of(type));
  }

  /** Adds an option of 4 bytes: an address, or seconds. */
  uint32(code: number, value: number): void {
    this.#head(code, 4);
    this.#view.setUint32(this.#at, value);
    this.#at += 4;
  }

  /** Adds an option of 2 bytes. */
  uint16(code: number, value: number): void {
    this.#head(code, 2);
    this.#view.setUint16(this.#at, value);
    this.#at += 2;
  }

  /** Adds an option of ASCII letters. */
  text(code: number, value: string): void {
    this.#head(code, value.length);
    for (let i = 0; i < value.length; i++) this.#bytes[this.#at++] = value.charCodeAt(i);
  }

  /** Adds an option of bytes. */
  bytes(code: number, value: Uint8Array): void {
    this.#head(code, value.length);
    this.#bytes.set(value, this.#at);
    this.#at += value.length;
  }

  /** Ends the options; returns the length of the message. */
  end(): number {
    this.#bytes[this.#at++] = END;
    return Math.max(this.#at, MIN_LENGTH);
  }

  #head(code: number, length: number): void {
    this.#bytes[this.#at++] = code;
    this.#bytes[this.#at++] = length;
  }
}
