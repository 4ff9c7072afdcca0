/**
 * Feature bits of the network device, as bit numbers: VIRTIO 1.4, 5.1.3.
 * @module
 */

/** The device takes frames with a partial checksum. */
export const VIRTIO_NET_F_CSUM = 0;
/** The driver takes frames with a partial checksum. */
export const VIRTIO_NET_F_GUEST_CSUM = 1;
/** The control virtqueue sets which offloads the driver takes. */
export const VIRTIO_NET_F_CTRL_GUEST_OFFLOADS = 2;
/** The device reports the largest MTU in its configuration. */
export const VIRTIO_NET_F_MTU = 3;
/** The device has a given MAC address. */
export const VIRTIO_NET_F_MAC = 5;
/** The driver takes unsegmented TCP over IPv4. */
export const VIRTIO_NET_F_GUEST_TSO4 = 7;
/** The driver takes unsegmented TCP over IPv6. */
export const VIRTIO_NET_F_GUEST_TSO6 = 8;
/** The driver takes unsegmented TCP with ECN. */
export const VIRTIO_NET_F_GUEST_ECN = 9;
/** The driver takes unfragmented UDP. */
export const VIRTIO_NET_F_GUEST_UFO = 10;
/** The device takes unsegmented TCP over IPv4. */
export const VIRTIO_NET_F_HOST_TSO4 = 11;
/** The device takes unsegmented TCP over IPv6. */
export const VIRTIO_NET_F_HOST_TSO6 = 12;
/** The device takes unsegmented TCP with ECN. */
export const VIRTIO_NET_F_HOST_ECN = 13;
/** The device takes unfragmented UDP. */
export const VIRTIO_NET_F_HOST_UFO = 14;
/** The driver can merge receive buffers. */
export const VIRTIO_NET_F_MRG_RXBUF = 15;
/** The configuration has a status field. */
export const VIRTIO_NET_F_STATUS = 16;
/** There is a control virtqueue. */
export const VIRTIO_NET_F_CTRL_VQ = 17;
/** The control virtqueue sets the receive mode. */
export const VIRTIO_NET_F_CTRL_RX = 18;
/** The control virtqueue sets which VLANs are received. */
export const VIRTIO_NET_F_CTRL_VLAN = 19;
/** The driver announces itself when it is asked to. */
export const VIRTIO_NET_F_GUEST_ANNOUNCE = 21;
/** There are several queue pairs, with automatic receive steering. */
export const VIRTIO_NET_F_MQ = 22;
/** The control virtqueue sets the MAC address. */
export const VIRTIO_NET_F_CTRL_MAC_ADDR = 23;
/** The header reports a hash of each frame. */
export const VIRTIO_NET_F_HASH_REPORT = 57;
/** The configuration has the link's speed and duplex mode. */
export const VIRTIO_NET_F_SPEED_DUPLEX = 63;

/** The names of the standard, by bit number. */
export const NET_FEATURE_NAMES: Readonly<Record<number, string>> = {
  [VIRTIO_NET_F_CSUM]: "CSUM",
  [VIRTIO_NET_F_GUEST_CSUM]: "GUEST_CSUM",
  [VIRTIO_NET_F_CTRL_GUEST_OFFLOADS]: "CTRL_GUEST_OFFLOADS",
  [VIRTIO_NET_F_MTU]: "MTU",
  [VIRTIO_NET_F_MAC]: "MAC",
  [VIRTIO_NET_F_GUEST_TSO4]: "GUEST_TSO4",
  [VIRTIO_NET_F_GUEST_TSO6]: "GUEST_TSO6",
  [VIRTIO_NET_F_GUEST_ECN]: "GUEST_ECN",
  [VIRTIO_NET_F_GUEST_UFO]: "GUEST_UFO",
  [VIRTIO_NET_F_HOST_TSO4]: "HOST_TSO4",
  [VIRTIO_NET_F_HOST_TSO6]: "HOST_TSO6",
  [VIRTIO_NET_F_HOST_ECN]: "HOST_ECN",
  [VIRTIO_NET_F_HOST_UFO]: "HOST_UFO",
  [VIRTIO_NET_F_MRG_RXBUF]: "MRG_RXBUF",
  [VIRTIO_NET_F_STATUS]: "STATUS",
  [VIRTIO_NET_F_CTRL_VQ]: "CTRL_VQ",
  [VIRTIO_NET_F_CTRL_RX]: "CTRL_RX",
  [VIRTIO_NET_F_CTRL_VLAN]: "CTRL_VLAN",
  [VIRTIO_NET_F_GUEST_ANNOUNCE]: "GUEST_ANNOUNCE",
  [VIRTIO_NET_F_MQ]: "MQ",
  [VIRTIO_NET_F_CTRL_MAC_ADDR]: "CTRL_MAC_ADDR",
  [VIRTIO_NET_F_HASH_REPORT]: "HASH_REPORT",
  [VIRTIO_NET_F_SPEED_DUPLEX]: "SPEED_DUPLEX",
};
