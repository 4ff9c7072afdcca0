/**
 * Offsets of the control registers (VIRTIO 1.4, 4.2.2): 32 bits each, little-endian. Both versions have the registers
 * up to {@link STATUS}, except {@link QUEUE_READY}. For both halves.
 * @module
 */

/** MagicValue, read-only: {@link MMIO_MAGIC}. */
export const MAGIC_VALUE = 0x000;
/** Version, read-only: {@link MMIO_VERSION} or {@link MMIO_LEGACY_VERSION}. */
export const VERSION = 0x004;
/** DeviceID, read-only: a virtio device id; 0 if there is no device. */
export const DEVICE_ID = 0x008;
/** VendorID, read-only. */
export const VENDOR_ID = 0x00c;
/** DeviceFeatures, read-only: the 32 bits that {@link DEVICE_FEATURES_SEL} selects. */
export const DEVICE_FEATURES = 0x010;
/** DeviceFeaturesSel, write-only. */
export const DEVICE_FEATURES_SEL = 0x014;
/** DriverFeatures, write-only: the 32 bits that {@link DRIVER_FEATURES_SEL} selects. */
export const DRIVER_FEATURES = 0x020;
/** DriverFeaturesSel, write-only. */
export const DRIVER_FEATURES_SEL = 0x024;
/** QueueSel, write-only: selects the queue of the other queue registers. */
export const QUEUE_SEL = 0x030;
/** QueueSizeMax, read-only: 0 if there is no such queue. */
export const QUEUE_SIZE_MAX = 0x034;
/** QueueSize, write-only. */
export const QUEUE_SIZE = 0x038;
/** QueueReady. */
export const QUEUE_READY = 0x044;
/** QueueNotify, write-only: a queue index, or notification data (2.9). */
export const QUEUE_NOTIFY = 0x050;
/** InterruptStatus, read-only: `ISR_QUEUE`, `ISR_CONFIG`. */
export const INTERRUPT_STATUS = 0x060;
/** InterruptACK, write-only: bits of {@link INTERRUPT_STATUS} that were handled. */
export const INTERRUPT_ACK = 0x064;
/** Status: device status. */
export const STATUS = 0x070;
/** QueueDescLow, write-only; QueueDescHigh follows. */
export const QUEUE_DESC_LOW = 0x080;
/** QueueDriverLow, write-only; QueueDriverHigh follows. */
export const QUEUE_DRIVER_LOW = 0x090;
/** QueueDeviceLow, write-only; QueueDeviceHigh follows. */
export const QUEUE_DEVICE_LOW = 0x0a0;
/** SHMSel, write-only: selects the shared memory id of the next four registers. */
export const SHM_SEL = 0x0ac;
/** SHMLenLow, read-only: all ones if there is no such region. */
export const SHM_LEN_LOW = 0x0b0;
/** SHMLenHigh, read-only. */
export const SHM_LEN_HIGH = 0x0b4;
/** SHMBaseLow, read-only: all ones if there is no such region. */
export const SHM_BASE_LOW = 0x0b8;
/** SHMBaseHigh, read-only. */
export const SHM_BASE_HIGH = 0x0bc;
/** QueueReset; with VIRTIO_F_RING_RESET. */
export const QUEUE_RESET = 0x0c0;
/** ConfigGeneration, read-only. */
export const CONFIG_GENERATION = 0x0fc;
/** Config: start of the device's configuration space. */
export const CONFIG = 0x100;

/** {@link MAGIC_VALUE}: "virt". */
export const MMIO_MAGIC = 0x7472_6976;
/** {@link VERSION} of a device of this standard. */
export const MMIO_VERSION = 2;
/** {@link VERSION} of a legacy device. */
export const MMIO_LEGACY_VERSION = 1;
