/**
 * The header of the config page: 256 bytes that device and driver share, laid out like virtio-mmio's registers
 * (VIRTIO 1.4, 4.2.2) with L4-VIRTIO's own fields in the gaps. For both halves.
 *
 * The driver reads and writes memory, not registers, so the selectors (`dev_features_sel`, `queue_sel`, `shm_sel`) and
 * the fields that they select have no effect. The maps of features and the queue entries replace them. Their names are
 * here only to make the header complete.
 * @module
 */

/** Size of the config page, bytes: header, device configuration and queue entries. */
export const CONFIG_PAGE_SIZE = 4096;

/** `magic`: the bytes "virt". */
export const MAGIC = 0;
/** The value of {@link MAGIC}. */
export const MAGIC_VALUE = 0x7472_6976;
/** `version`. */
export const VERSION = 0x04;
/** The value of {@link VERSION}. */
export const VERSION_VALUE = 2;
/** `device`: the device id. */
export const DEVICE_ID = 0x08;
/** `vendor`. */
export const VENDOR_ID = 0x0c;
/** The vendor id of L4Re's own devices. */
export const VENDOR_KERNKONZEPT = 0x44;
/** `dev_features`: the first word of the map. */
export const DEVICE_FEATURES = 0x10;
/** `dev_features_sel`. */
export const DEVICE_FEATURES_SEL = 0x14;
/** `driver_features`. */
export const DRIVER_FEATURES = 0x20;
/** `driver_features_sel`. */
export const DRIVER_FEATURES_SEL = 0x24;
/** `num_queues`. */
export const NUM_QUEUES = 0x28;
/** `queues_offset`: offset of the queue entries in the page; 0 if there are none. */
export const QUEUES_OFFSET = 0x2c;
/** `queue_sel`. */
export const QUEUE_SEL = 0x30;
/** `queue_num_max` of the selected queue. In a queue entry it is QUEUE_NUM_MAX. */
export const SELECTED_NUM_MAX = 0x34;
/** `queue_num` of the selected queue. */
export const SELECTED_NUM = 0x38;
/** `queue_ready` of the selected queue. */
export const SELECTED_READY = 0x44;
/** `queue_notify`: replaced by IRQ objects and CMD_NOTIFY_QUEUE. */
export const QUEUE_NOTIFY = 0x50;
/**
 * `irq_status`: the reason of a signal, ISR_QUEUE and ISR_CONFIG. The device sets bits, the driver clears them. Proxies
 * for a whole virtual machine use it to forward interrupts.
 */
export const IRQ_STATUS = 0x60;
/** `irq_ack`: a driver clears bits of {@link IRQ_STATUS} in place. */
export const IRQ_ACK = 0x64;
/** `status`: the device writes it; the driver requests a change by a command or by IPC. */
export const STATUS = 0x70;
/** `queue_desc` of the selected queue, 64 bits. */
export const SELECTED_DESC = 0x80;
/** `queue_avail` of the selected queue, 64 bits. */
export const SELECTED_AVAIL = 0x90;
/** `queue_used` of the selected queue, 64 bits. */
export const SELECTED_USED = 0xa0;
/** `shm_sel`. Only the current header has this and the next two. */
export const SHM_SEL = 0xac;
/** `shm_len`, 64 bits: all ones, because there are no regions. */
export const SHM_LEN = 0xb0;
/** `shm_base`, 64 bits: all ones. */
export const SHM_BASE = 0xb8;
/** `generation`: advances with each change of the device's configuration, and with each reset. */
export const GENERATION = 0xfc;
/** The device configuration. */
export const DEVICE_CONFIG = 0x100;

/** The feature bit of CMD_CONFIG, which distinguishes the two headers. */
export type CmdConfigBit = 160 | 224;

/** Offsets of the fields that differ between the two headers. */
export interface HeaderLayout {
  /** CMD_CONFIG, as a feature bit: the command field sets status and queues. */
  readonly cmdConfigBit: CmdConfigBit;
  /** Words of each map of features. */
  readonly featureWords: number;
  /** `dev_features_map`. */
  readonly deviceFeaturesMap: number;
  /** `driver_features_map`. */
  readonly driverFeaturesMap: number;
  /** `cfg_driver_notify_index`: index of the driver's IRQ object for configuration changes. */
  readonly cfgDriverNotifyIndex: number;
  /** `cfg_device_notify_index`: index of the device's IRQ object for commands. */
  readonly cfgDeviceNotifyIndex: number;
  /** `cmd`. */
  readonly cmd: number;
  /** `shm_len`, followed by `shm_base`, 64 bits each; `null` if the header has none. */
  readonly sharedMemory: number | null;
}

/** The current header: maps of six words, `cmd` in the row of the status. */
const HEADER_160: HeaderLayout = {
  cmdConfigBit: 160,
  featureWords: 6,
  deviceFeaturesMap: 0xc0,
  driverFeaturesMap: 0xe0,
  cfgDriverNotifyIndex: 0x74,
  cfgDeviceNotifyIndex: 0x78,
  cmd: 0x7c,
  sharedMemory: SHM_LEN,
};

/** The old header: maps of eight words, because six do not reach bit 224, and `cmd` behind the maps. */
const HEADER_224: HeaderLayout = {
  cmdConfigBit: 224,
  featureWords: 8,
  deviceFeaturesMap: 0xa8,
  driverFeaturesMap: 0xc8,
  cfgDriverNotifyIndex: 0xf0,
  cfgDeviceNotifyIndex: 0xf4,
  cmd: 0xf8,
  sharedMemory: null,
};

/** CMD_CONFIG in the current header. */
export const CMD_CONFIG_BIT: CmdConfigBit = 160;

/** The header in which CMD_CONFIG is feature bit `cmdConfigBit`. */
export function headerLayout(cmdConfigBit: CmdConfigBit): HeaderLayout {
  return cmdConfigBit === 224 ? HEADER_224 : HEADER_160;
}
