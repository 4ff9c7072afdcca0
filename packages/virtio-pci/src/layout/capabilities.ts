/**
 * The virtio structure PCI capabilities: `struct virtio_pci_cap` and the structures that begin with it (VIRTIO 1.4,
 * 4.1.4). Offsets count from the start of the capability. For both halves.
 * @module
 */

/** `cfg_type`: common configuration. */
export const VIRTIO_PCI_CAP_COMMON_CFG = 1;
/** `cfg_type`: notifications. */
export const VIRTIO_PCI_CAP_NOTIFY_CFG = 2;
/** `cfg_type`: ISR status. */
export const VIRTIO_PCI_CAP_ISR_CFG = 3;
/** `cfg_type`: device-specific configuration. */
export const VIRTIO_PCI_CAP_DEVICE_CFG = 4;
/** `cfg_type`: access to BARs through configuration space. */
export const VIRTIO_PCI_CAP_PCI_CFG = 5;
/** `cfg_type`: a shared memory region. */
export const VIRTIO_PCI_CAP_SHARED_MEMORY_CFG = 8;
/** `cfg_type`: vendor-specific data. */
export const VIRTIO_PCI_CAP_VENDOR_CFG = 9;

/** `cap_len`, 8 bits. */
export const CAP_LEN = 2;
/** `cfg_type`, 8 bits. */
export const CAP_CFG_TYPE = 3;
/** `bar`, 8 bits: 0 to 5. */
export const CAP_BAR = 4;
/** `id`, 8 bits. */
export const CAP_ID = 5;
/** `offset` within the BAR, bytes, 32 bits. */
export const CAP_OFFSET = 8;
/** `length`, bytes, 32 bits. */
export const CAP_LENGTH = 12;
/** Size of `struct virtio_pci_cap`. */
export const CAP_SIZE = 16;

/** `offset_hi` of `struct virtio_pci_cap64`. */
export const CAP64_OFFSET_HI = 16;
/** `length_hi` of `struct virtio_pci_cap64`. */
export const CAP64_LENGTH_HI = 20;
/** Size of `struct virtio_pci_cap64`. */
export const CAP64_SIZE = 24;

/** `notify_off_multiplier` of `struct virtio_pci_notify_cap`. */
export const NOTIFY_CAP_MULTIPLIER = 16;
/** Size of `struct virtio_pci_notify_cap`. */
export const NOTIFY_CAP_SIZE = 20;

/** `pci_cfg_data` of `struct virtio_pci_cfg_cap`, 4 bytes. */
export const CFG_CAP_DATA = 16;
/** Size of `struct virtio_pci_cfg_cap`. */
export const CFG_CAP_SIZE = 20;

/** `vendor_id` of `struct virtio_pci_vndr_data`, 16 bits: the vendor that defines the data after it. */
export const VENDOR_CAP_VENDOR_ID = 4;
/** Offset of the vendor's own data in `struct virtio_pci_vndr_data`. */
export const VENDOR_CAP_DATA = 6;
