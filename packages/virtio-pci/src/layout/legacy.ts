/**
 * Offsets of the legacy configuration structure in BAR0 (VIRTIO 1.4, 4.1.4.10). For both halves.
 * @module
 */

/** Device features, bits 0 to 31, read-only. */
export const LEGACY_DEVICE_FEATURES = 0;
/** Driver features, bits 0 to 31. */
export const LEGACY_DRIVER_FEATURES = 4;
/** Queue address, 32 bits: in pages of {@link LEGACY_PAGE_SIZE}. */
export const LEGACY_QUEUE_ADDRESS = 8;
/** `queue_size`, 16 bits, read-only. */
export const LEGACY_QUEUE_SIZE = 12;
/** `queue_select`, 16 bits. */
export const LEGACY_QUEUE_SELECT = 14;
/** Queue notify, 16 bits. */
export const LEGACY_QUEUE_NOTIFY = 16;
/** Device status, 8 bits. */
export const LEGACY_DEVICE_STATUS = 18;
/** ISR status, 8 bits, read-only; reading clears it. */
export const LEGACY_ISR_STATUS = 19;
/** Device-specific configuration, while MSI-X is disabled. */
export const LEGACY_DEVICE_CONFIG = 20;
/** `config_msix_vector`, 16 bits, while MSI-X is enabled. */
export const LEGACY_CONFIG_MSIX_VECTOR = 20;
/** `queue_msix_vector`, 16 bits, while MSI-X is enabled. */
export const LEGACY_QUEUE_MSIX_VECTOR = 22;
/** Device-specific configuration, while MSI-X is enabled. */
export const LEGACY_DEVICE_CONFIG_MSIX = 24;

/** Unit of the queue address, bytes (4.1.5.1.3.1). */
export const LEGACY_PAGE_SIZE = 4096;
/** Alignment of the used ring within a legacy virtqueue, bytes (4.1.5.1.3.1). */
export const LEGACY_QUEUE_ALIGN = 4096;
