/**
 * Offsets of the fields of Ethernet (IEEE 802.3), IPv4 (RFC 791), TCP (RFC 9293), UDP (RFC 768) and ICMP (RFC 792)
 * headers, in bytes from the start of each header.
 * @module
 */

export const ETH_HEADER = 14;
export const ETH_SOURCE = 6;
export const ETH_TYPE = 12;
export const ETH_TYPE_IPV4 = 0x0800;
export const ETH_TYPE_ARP = 0x0806;

/** Bytes of an IPv4 header without options; the network sends no options. */
export const IP_HEADER = 20;
export const IP_TOTAL_LENGTH = 2;
export const IP_ID = 4;
export const IP_FRAGMENT = 6;
export const IP_TTL = 8;
export const IP_PROTOCOL = 9;
export const IP_CHECKSUM = 10;
export const IP_SOURCE = 12;
export const IP_DESTINATION = 16;
export const IP_DONT_FRAGMENT = 0x4000;
export const IP_MORE_FRAGMENTS = 0x2000;
/** Bits of the fragment offset, in units of 8 bytes. */
export const IP_OFFSET_MASK = 0x1fff;

export const PROTOCOL_ICMP = 1;
export const PROTOCOL_TCP = 6;
export const PROTOCOL_UDP = 17;

export const UDP_HEADER = 8;
export const UDP_LENGTH = 4;
export const UDP_CHECKSUM = 6;

/** Bytes of a TCP header without options. */
export const TCP_HEADER = 20;
export const TCP_SEQUENCE = 4;
export const TCP_ACKNOWLEDGEMENT = 8;
export const TCP_DATA_OFFSET = 12;
export const TCP_FLAGS = 13;
export const TCP_WINDOW = 14;
export const TCP_CHECKSUM = 16;
export const FIN = 1;
export const SYN = 2;
export const RST = 4;
export const PSH = 8;
export const ACK = 16;

export const ICMP_ECHO_REPLY = 0;
export const ICMP_UNREACHABLE = 3;
export const ICMP_ECHO = 8;
export const ICMP_TIME_EXCEEDED = 11;
export const UNREACHABLE_NETWORK = 0;
export const UNREACHABLE_HOST = 1;
export const UNREACHABLE_PROTOCOL = 2;
export const UNREACHABLE_PORT = 3;
export const UNREACHABLE_TOO_BIG = 4;
export const UNREACHABLE_PROHIBITED = 13;

/** Sum of the 16-bit words of an address, for a checksum. */
export function sumOfAddress(address: number): number {
  return (address >>> 16) + (address & 0xffff);
}

/** The initial sum of TCP and UDP checksums: the pseudo header (RFC 9293, 3.1). */
export function sumOfPseudoHeader(source: number, destination: number, protocol: number, length: number): number {
  return sumOfAddress(source) + sumOfAddress(destination) + protocol + length;
}
