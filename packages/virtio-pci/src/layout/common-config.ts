/**
 * Offsets of `struct virtio_pci_common_cfg` (VIRTIO 1.4, 4.1.4.3). A 64-bit field is two of 32 bits. For both halves.
 * @module
 */

/** `device_feature_select`, 32 bits. */
export const DEVICE_FEATURE_SELECT = 0;
/** `device_feature`, 32 bits, read-only. */
export const DEVICE_FEATURE = 4;
/** `driver_feature_select`, 32 bits. */
export const DRIVER_FEATURE_SELECT = 8;
/** `driver_feature`, 32 bits. */
export const DRIVER_FEATURE = 12;
/** `config_msix_vector`, 16 bits. */
export const CONFIG_MSIX_VECTOR = 16;
/** `num_queues`, 16 bits, read-only. */
export const NUM_QUEUES = 18;
/** `device_status`, 8 bits. */
export const DEVICE_STATUS = 20;
/** `config_generation`, 8 bits, read-only. */
export const CONFIG_GENERATION = 21;
/** `queue_select`, 16 bits. */
export const QUEUE_SELECT = 22;
/** `queue_size`, 16 bits. */
export const QUEUE_SIZE = 24;
/** `queue_msix_vector`, 16 bits. */
export const QUEUE_MSIX_VECTOR = 26;
/** `queue_enable`, 16 bits. */
export const QUEUE_ENABLE = 28;
/** `queue_notify_off`, 16 bits, read-only. */
export const QUEUE_NOTIFY_OFF = 30;
/** `queue_desc`, 64 bits; `queue_driver` and `queue_device` follow. */
export const QUEUE_DESC = 32;
/** `queue_driver`, 64 bits. */
export const QUEUE_DRIVER = 40;
/** `queue_device`, 64 bits. */
export const QUEUE_DEVICE = 48;
/** `queue_notif_config_data`, 16 bits, read-only; with VIRTIO_F_NOTIF_CONFIG_DATA. */
export const QUEUE_NOTIF_CONFIG_DATA = 56;
/** `queue_reset`, 16 bits; with VIRTIO_F_RING_RESET. */
export const QUEUE_RESET = 58;
/** `admin_queue_index`, 16 bits, read-only; with VIRTIO_F_ADMIN_VQ. */
export const ADMIN_QUEUE_INDEX = 60;
/** `admin_queue_num`, 16 bits, read-only; with VIRTIO_F_ADMIN_VQ. */
export const ADMIN_QUEUE_NUM = 62;
/** Size of the structure. */
export const COMMON_CONFIG_SIZE = 64;

/** `config_msix_vector` and `queue_msix_vector`: the event is mapped to no vector (4.1.5.1.2). */
export const NO_VECTOR = 0xffff;
