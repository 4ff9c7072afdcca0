/**
 * The header of the config page: 256 bytes that device and driver share, laid out like virtio-mmio's registers
 * (VIRTIO 1.4, 4.2.2) with L4-VIRTIO's own fields in the gaps. For both halves.
 *
 * The driver reads and writes memory, not registers: the fields that a register map selects (`dev_features_sel`,
 * `queue_sel`, `shm_sel` and what they select) have no effect here. The maps of features and the queue entries take
 * their place. They have their names here so that the header is whole.
 * @module
 */

/** Size of the config page, bytes: header, device configuration and queue entries. */
export const CONFIG_PAGE_SIZE = 4096;

/** `magic`: the bytes "virt". */
export const MAGIC = 0;
/** What {@link MAGIC} holds. */
export const MAGIC_VALUE = 0x7472_6976;
/** `version`. */
export const VERSION = 0x04;
/** What {@link VERSION} holds. */
export const VERSION_VALUE = 2;
/** `device`: the device id. */
export const DEVICE_ID = 0x08;
/** `vendor`. */
export const VENDOR_ID = 0x0c;
/** The vendor id that L4Re's own devices show. */
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
/** `queues_offset`: where the queue entries begin, from the start of the page; 0: there are none. */
export const QUEUES_OFFSET = 0x2c;
/** `queue_sel`. */
export const QUEUE_SEL = 0x30;
/** `queue_num_max`, of the queue selected; the entry's is QUEUE_NUM_MAX. */
export const SELECTED_NUM_MAX = 0x34;
/** `queue_num`, of the queue selected. */
export const SELECTED_NUM = 0x38;
/** `queue_ready`, of the queue selected. */
export const SELECTED_READY = 0x44;
/** `queue_notify`: IRQ objects, and CMD_NOTIFY_QUEUE, take its place. */
export const QUEUE_NOTIFY = 0x50;
/**
 * `irq_status`: why the device signalled, ISR_QUEUE and ISR_CONFIG. The device sets bits, the driver clears them; proxies
 * that stand for a whole virtual machine forward interrupts by it.
 */
export const IRQ_STATUS = 0x60;
/** `irq_ack`: a driver clears bits of {@link IRQ_STATUS} in place. */
export const IRQ_ACK = 0x64;
/** `status`: the device writes it; the driver asks for another one by a command or by IPC. */
export const STATUS = 0x70;
/** `queue_desc`, 64 bits, of the queue selected. */
export const SELECTED_DESC = 0x80;
/** `queue_avail`, 64 bits, of the queue selected. */
export const SELECTED_AVAIL = 0x90;
/** `queue_used`, 64 bits, of the queue selected. */
export const SELECTED_USED = 0xa0;
/** `shm_sel`; this and the next two are in today's header alone. */
export const SHM_SEL = 0xac;
/** `shm_len`, 64 bits: all ones, for there are no regions. */
export const SHM_LEN = 0xb0;
/** `shm_base`, 64 bits: all ones. */
export const SHM_BASE = 0xb8;
/** `generation`: moves with each change of the device's configuration, and with each reset. */
export const GENERATION = 0xfc;
/** The device configuration. */
export const DEVICE_CONFIG = 0x100;

/** The bit of CMD_CONFIG, by which one tells the two headers apart. */
export type CmdConfigBit = 160 | 224;

/** Where a header has the fields that were moved once. */
export interface HeaderLayout {
  /** CMD_CONFIG, as a feature bit: status and queues are set by the command field. */
  readonly cmdConfigBit: CmdConfigBit;
  /** Words of each map of features. */
  readonly featureWords: number;
  /** `dev_features_map`. */
  readonly deviceFeaturesMap: number;
  /** `driver_features_map`. */
  readonly driverFeaturesMap: number;
  /** `cfg_driver_notify_index`: which of the driver's IRQ objects tells it of configuration changes. */
  readonly cfgDriverNotifyIndex: number;
  /** `cfg_device_notify_index`: which of the device's IRQ objects tells it of a command. */
  readonly cfgDeviceNotifyIndex: number;
  /** `cmd`. */
  readonly cmd: number;
  /** `shm_len` and, behind it, `shm_base`, 64 bits each; `null` where the header has none. */
  readonly sharedMemory: number | null;
}

/** The header of today: maps of six words, `cmd` in the row of the status. */
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

/** The header before: maps of eight words, or bit 224 would lie outside of them, and `cmd` behind the maps. */
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

/** CMD_CONFIG in today's header. */
export const CMD_CONFIG_BIT: CmdConfigBit = 160;

/** The header in which CMD_CONFIG is feature bit `cmdConfigBit`. */
export function headerLayout(cmdConfigBit: CmdConfigBit): HeaderLayout {
  return cmdConfigBit === 224 ? HEADER_224 : HEADER_160;
}
