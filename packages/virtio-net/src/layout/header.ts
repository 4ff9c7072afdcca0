/**
 * `struct virtio_net_hdr`, the header in front of each frame: VIRTIO 1.4, 5.1.6. Offsets in bytes; the values
 * of `flags` and `gso_type` are those of `@virtio-ts/net-link`.
 * @module
 */

/** Offset of `flags`, u8. */
export const HDR_FLAGS = 0;
/** Offset of `gso_type`, u8. */
export const HDR_GSO_TYPE = 1;
/** Offset of `hdr_len`, le16. */
export const HDR_HDR_LEN = 2;
/** Offset of `gso_size`, le16. */
export const HDR_GSO_SIZE = 4;
/** Offset of `csum_start`, le16. */
export const HDR_CSUM_START = 6;
/** Offset of `csum_offset`, le16. */
export const HDR_CSUM_OFFSET = 8;
/** Offset of `num_buffers`, le16. */
export const HDR_NUM_BUFFERS = 10;
/** Offset of `hash_value`, le32: with HASH_REPORT. */
export const HDR_HASH_VALUE = 12;
/** Offset of `hash_report`, le16, the kind of hash: with HASH_REPORT. */
export const HDR_HASH_REPORT = 16;

/** Length of the header, with `num_buffers`. */
export const HDR_SIZE = 12;
/** Length of the header with HASH_REPORT. */
export const HDR_SIZE_HASH = 20;
/** Length of the header that a legacy driver without mergeable buffers uses. */
export const HDR_SIZE_LEGACY = 10;
