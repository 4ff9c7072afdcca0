/**
 * The longest frame for an IP packet: VIRTIO 1.4, 5.1.4.2; IEEE 802.1Q. An MTU counts neither the Ethernet header nor
 * its VLAN tags. There may be two: a customer's tag (802.1Q) inside a provider's (802.1ad).
 * @module
 */

/** Bytes of an Ethernet header without tags: the shortest frame. */
export const ETHERNET_HEADER = 14;
/** Bytes of two VLAN tags. */
export const VLAN_TAGS_MAX = 8;
/** The longest IP packet, bytes; also in a frame that is to be segmented. */
export const IP_PACKET_MAX = 65535;
/** Offset of the first type of a frame. */
export const ETHERTYPE_AT = 12;
/** Bytes from there that show a frame's tags: two types and the bytes between them. */
export const ETHERTYPES_SIZE = 6;

const VLAN_TAG = 4;

/** Bytes of the VLAN tags of a frame. @param types its bytes from {@link ETHERTYPE_AT} on, {@link ETHERTYPES_SIZE} */
export function vlanTagBytes(types: Uint8Array): number {
  if (!isTag(types, 0)) return 0;
  return isTag(types, VLAN_TAG) ? 2 * VLAN_TAG : VLAN_TAG;
}

function isTag(types: Uint8Array, at: number): boolean {
  return (types[at] === 0x81 && types[at + 1] === 0) || (types[at] === 0x88 && types[at + 1] === 0xa8);
}
