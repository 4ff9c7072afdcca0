/**
 * The header of the config page: 256 bytes that device and driver share, laid out like virtio-mmio's registers
 * (VIRTIO 1.4, 4.2.2) with L4-VIRTIO's own fields in the gaps. For both halves.
 *
 * The driver reads and writes memory, not registers: the fields that a register map selects (`dev_features_sel`,
 * `queue_sel`, `shm_sel` and what they select) have no effect here. The maps of features and the queue entries take
 * their place.
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
/** `num_queues`. */
export const NUM_QUEUES = 0x28;
/** `queues_offset`: where the queue entries begin, from the start of the page; 0: there are none. */
export const QUEUES_OFFSET = 0x2c;
/**
 * `irq_status`: why the device signalled, ISR_QUEUE and ISR_CONFIG. The device sets bits, the driver clears them; proxies
 * that stand for a whole virtual machine forward interrupts by it.
 */
export const IRQ_STATUS = 0x60;
/** `status`: the device writes it; the driver asks for another one by a command or by IPC. */
export const STATUS = 0x70;
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
  sharedMemory: 0xb0,
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
