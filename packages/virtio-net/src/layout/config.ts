/**
 * Configuration space of the network device, `struct virtio_net_config`: VIRTIO 1.4, 5.1.4.
 * @module
 */

/** Offset of `mac`, 6 bytes. */
export const CONFIG_MAC = 0;
/** Offset of `status`, 2 bytes: with STATUS. */
export const CONFIG_STATUS = 6;
/** Offset of `max_virtqueue_pairs`, 2 bytes. */
export const CONFIG_MAX_QUEUE_PAIRS = 8;
/** Offset of `mtu`, 2 bytes: with MTU. */
export const CONFIG_MTU = 10;
/** Bytes up to the end of `mtu`. */
export const CONFIG_SIZE = 12;
/** Offset of `speed`, 4 bytes, Mbit/s: with SPEED_DUPLEX. */
export const CONFIG_SPEED = 12;
/** Offset of `duplex`, 1 byte, 0 half, 1 full: with SPEED_DUPLEX. */
export const CONFIG_DUPLEX = 16;
/** Offset of `rss_max_key_size`, 1 byte: with HASH_REPORT. */
export const CONFIG_RSS_MAX_KEY_SIZE = 17;
/** Offset of `supported_hash_types`, 4 bytes: with HASH_REPORT. */
export const CONFIG_SUPPORTED_HASH_TYPES = 20;

/** Bit of `status`: the link is up. */
export const STATUS_LINK_UP = 1;
/** Bit of `status`: the driver is asked to announce itself. */
export const STATUS_ANNOUNCE = 2;
/** Most queue pairs the standard allows (5.1.4.1). */
export const QUEUE_PAIRS_MAX = 0x8000;
/** Smallest MTU the standard allows (5.1.4.1). */
export const MTU_MIN = 68;
/** Largest MTU the standard allows (5.1.4.1). */
export const MTU_MAX = 65535;
