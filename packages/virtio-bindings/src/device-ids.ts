/**
 * Device ids: VIRTIO 1.4, 5 Device Types.
 * @module
 */

/** Network card (5.1). */
export const VIRTIO_ID_NET = 1;
/** Block device (5.2). */
export const VIRTIO_ID_BLOCK = 2;
/** Console (5.3). */
export const VIRTIO_ID_CONSOLE = 3;
/** Entropy source (5.4). */
export const VIRTIO_ID_ENTROPY = 4;
/** Traditional memory balloon (5.5). */
export const VIRTIO_ID_BALLOON = 5;
/** Remote processor messaging; no chapter of its own. */
export const VIRTIO_ID_RPMSG = 7;
/** SCSI host (5.6). */
export const VIRTIO_ID_SCSI = 8;
/** 9P transport; no chapter of its own. */
export const VIRTIO_ID_9P = 9;
/** Remote processor's serial line; no chapter of its own. */
export const VIRTIO_ID_RPROC_SERIAL = 11;
/** CAIF modem; no chapter of its own. */
export const VIRTIO_ID_CAIF = 12;
/** GPU (5.7). */
export const VIRTIO_ID_GPU = 16;
/** Input device (5.8). */
export const VIRTIO_ID_INPUT = 18;
/** Socket device (5.10). */
export const VIRTIO_ID_VSOCK = 19;
/** Crypto device (5.9). */
export const VIRTIO_ID_CRYPTO = 20;
/** Memory device (5.15). */
export const VIRTIO_ID_MEM = 24;
/** Sound device (5.14). */
export const VIRTIO_ID_SOUND = 25;
/** File system device (5.11). */
export const VIRTIO_ID_FS = 26;
/** Persistent memory device (5.19). */
export const VIRTIO_ID_PMEM = 27;
/** L4Re's own socket protocol, only on L4-VIRTIO. Not in the standard, and different from {@link VIRTIO_ID_VSOCK}. */
export const L4VIRTIO_ID_SOCK = 0x9999;
