/**
 * Offloads of one frame: work that a NIC may leave to the next taker of the frame. The values are those of
 * `struct virtio_net_hdr` (VIRTIO 1.4, 5.1.6 Device Operation), which Linux TAP shares; this package owns them because
 * a frame keeps them on its whole way, through any device or backend.
 * @module
 */

/** Header flag: a checksum must still be filled in, at `csumStart` and `csumOffset`. */
export const HDR_F_NEEDS_CSUM = 1;
/** Header flag: the sender has verified the checksum of the frame. */
export const HDR_F_DATA_VALID = 2;

/** The frame is a plain one; it is not segmented. */
export const GSO_NONE = 0;
/** A TCP over IPv4 frame to be cut into segments of `gsoSize` payload bytes. */
export const GSO_TCPV4 = 1;
/** A TCP over IPv6 frame to be cut into segments of `gsoSize` payload bytes. */
export const GSO_TCPV6 = 4;
/** Or-ed to a TCP type: the frame carries the ECN CWR bit. */
export const GSO_ECN = 0x80;

/** Can take frames whose checksum is not filled in ({@link HDR_F_NEEDS_CSUM}). */
export const OFFLOAD_CSUM = 1;
/** Can take unsegmented TCP over IPv4 frames ({@link GSO_TCPV4}). */
export const OFFLOAD_TSO4 = 2;
/** Can take unsegmented TCP over IPv6 frames ({@link GSO_TCPV6}). */
export const OFFLOAD_TSO6 = 4;
/** Can take unsegmented TCP frames with ECN ({@link GSO_ECN}). */
export const OFFLOAD_ECN = 8;
/** All of them. */
export const OFFLOAD_ALL = 15;
/** Needed by a frame of unknown GSO type. No end accepts it, so the link drops the frame. */
export const OFFLOAD_UNKNOWN = 0x80;

/**
 * The offloads that the taker of a frame must accept, as a set of `OFFLOAD_*` bits. It includes {@link OFFLOAD_UNKNOWN}
 * if the GSO type is unknown.
 * @param flags the frame's header flags
 * @param gsoType the frame's GSO type
 */
export function offloadsNeeded(flags: number, gsoType: number): number {
  let needed = flags & HDR_F_NEEDS_CSUM; // the same bit as OFFLOAD_CSUM
  if (gsoType !== GSO_NONE) {
    const type = gsoType & ~GSO_ECN;
    needed |= type === GSO_TCPV4 ? OFFLOAD_TSO4 : type === GSO_TCPV6 ? OFFLOAD_TSO6 : OFFLOAD_UNKNOWN;
    if ((gsoType & GSO_ECN) !== 0) needed |= OFFLOAD_ECN;
  }
  return needed;
}
