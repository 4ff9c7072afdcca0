/**
 * Commands of the control virtqueue, `struct virtio_net_ctrl`: VIRTIO 1.4, 5.1.6.5. A class and a command, one byte
 * each, the command's data, and one byte `ack` that the device writes.
 * @module
 */

/** `ack`: done. */
export const CTRL_OK = 0;
/** `ack`: refused. */
export const CTRL_ERR = 1;

/** Class: the receive mode. */
export const CTRL_RX = 0;
/** Of {@link CTRL_RX}: all frames, u8 0 or 1. */
export const CTRL_RX_PROMISC = 0;
/** Of {@link CTRL_RX}: all multicast frames, u8 0 or 1. */
export const CTRL_RX_ALLMULTI = 1;

/** Class: MAC addresses. */
export const CTRL_MAC = 1;
/** Of {@link CTRL_MAC}: the default address, 6 bytes. */
export const CTRL_MAC_ADDR_SET = 1;

/** Class: announcements. */
export const CTRL_ANNOUNCE = 3;
/** Of {@link CTRL_ANNOUNCE}: the driver has seen the request. */
export const CTRL_ANNOUNCE_ACK = 0;

/** Class: several queue pairs. */
export const CTRL_MQ = 4;
/** Of {@link CTRL_MQ}: pairs in use, le16. */
export const CTRL_MQ_VQ_PAIRS_SET = 0;
/** Of {@link CTRL_MQ}: types of hashes to report, `struct virtio_net_hash_config`. */
export const CTRL_MQ_HASH_CONFIG = 2;
