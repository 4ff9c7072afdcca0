/**
 * IPv4 and MAC addresses, and classes of destinations. IPv4 addresses are numbers (unsigned, 32 bits), so that
 * comparing and masking them allocates nothing; text is used only at the edges.
 * @module
 */

import { UserNetworkError } from "../errors.ts";

/** 255.255.255.255, the limited broadcast address. */
export const IPV4_BROADCAST = 0xffff_ffff;

/** Parses `a.b.c.d`; `undefined` for anything else. */
export function parseIpv4(text: string): number | undefined {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  if (match === null) return undefined;
  let address = 0;
  for (let i = 1; i <= 4; i++) {
    const byte = Number(match[i]);
    if (byte > 255) return undefined;
    address = address * 256 + byte;
  }
  return address;
}

/** Formats an address as `a.b.c.d`. */
export function formatIpv4(address: number): string {
  return `${address >>> 24}.${(address >>> 16) & 255}.${(address >>> 8) & 255}.${address & 255}`;
}

/**
 * Parses an address from the options.
 * @param what name of the option in the error
 * @throws UserNetworkError `BAD_ADDRESS`
 */
export function requireIpv4(text: string, what: string): number {
  const address = parseIpv4(text);
  if (address === undefined) {
    throw new UserNetworkError("BAD_ADDRESS", `${what} is "${text}": expected an IPv4 address like 10.0.2.2`);
  }
  return address;
}

/** A range of addresses, `base` to `broadcast`. */
export interface Subnet {
  /** Its first address. */
  readonly base: number;
  /** Its mask. */
  readonly mask: number;
  /** Its last address. */
  readonly broadcast: number;
  /** Bits of the mask. */
  readonly bits: number;
}

/**
 * Parses `a.b.c.d/bits`. The prefix is 16 to 28 bits: room for gateway, DNS and guests, and small enough that a table
 * of all neighbours stays bounded.
 * @throws UserNetworkError `BAD_SUBNET`
 */
export function requireSubnet(text: string): Subnet {
  const slash = text.indexOf("/");
  const base = parseIpv4(text.slice(0, slash));
  const bits = Number(text.slice(slash + 1)); // without a slash: the whole text, which is not a number if it has a base
  if (base === undefined || !Number.isInteger(bits)) {
    throw new UserNetworkError("BAD_SUBNET", `subnet is "${text}": expected one like 10.0.2.0/24`);
  }
  if (bits < 16 || bits > 28) {
    throw new UserNetworkError("BAD_SUBNET", `subnet is "${text}": expected a prefix of 16 to 28 bits, not ${bits}`);
  }
  const mask = (-1 << (32 - bits)) >>> 0;
  if ((base & mask) >>> 0 !== base) {
    const right = formatIpv4((base & mask) >>> 0);
    throw new UserNetworkError("BAD_SUBNET", `subnet is "${text}": its host bits must be 0, as in ${right}/${bits}`);
  }
  return { base, mask, broadcast: (base | ~mask) >>> 0, bits };
}

/** Whether an address lies in a subnet. */
export function inSubnet(address: number, subnet: Subnet): boolean {
  return (address & subnet.mask) >>> 0 === subnet.base;
}

/** Whether an address can be a host's in a subnet: neither its first nor its last address. */
export function isHostOf(address: number, subnet: Subnet): boolean {
  return inSubnet(address, subnet) && address !== subnet.base && address !== subnet.broadcast;
}

/**
 * Whether an address names many machines: multicast (RFC 1112), the limited broadcast, the subnet's broadcast, or the
 * obsolete broadcast with a host part of 0 (RFC 1122, 3.3.6).
 */
export function isMany(address: number, subnet: Subnet): boolean {
  return (
    address >>> 28 === 0xe || address === IPV4_BROADCAST || address === subnet.broadcast || address === subnet.base
  );
}

/**
 * Whether an address means something else on the host than to the guest, so it is never dialled: "this network" 0/8
 * (Linux connects 0.0.0.0 to its own loopback), loopback 127/8, link-local 169.254/16 (cloud machines get credentials
 * there), multicast 224/4, reserved 240/4. RFC 6890.
 */
export function isNeverDialled(address: number): boolean {
  const first = address >>> 24;
  return first === 0 || first === 127 || address >>> 16 === 0xa9fe || first >= 224;
}

/**
 * Checks a MAC address from the options: 6 bytes, unicast.
 * @throws UserNetworkError `BAD_ADDRESS`
 */
export function requireMac(mac: Uint8Array, what: string): Uint8Array {
  if (!(mac instanceof Uint8Array) || mac.length !== 6 || (mac[0] & 1) !== 0) {
    const bytes = mac instanceof Uint8Array;
    const text = bytes ? Array.from(mac, (byte) => byte.toString(16).padStart(2, "0")).join(":") : JSON.stringify(mac);
    throw new UserNetworkError(
      "BAD_ADDRESS",
      `${what} is ${text}: expected a Uint8Array of 6 bytes, the first of them even (unicast)`,
    );
  }
  return mac.slice();
}
