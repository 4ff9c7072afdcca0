/**
 * The two ways in which a driver controls its device: IPC, and the command field of the config page. For both halves.
 * @module
 */

/** The protocol number of L4-VIRTIO's IPC. */
export const L4VIRTIO_PROTOCOL = 0;

/** Writes the device status. */
export const OP_SET_STATUS = 0;
/** Configures a queue from its entry. */
export const OP_CONFIG_QUEUE = 1;
/** Exchanges one IRQ object each way and returns the config page: older than the operations below. */
export const OP_REGISTER_IFACE = 2;
/** Gives the device a dataspace. */
export const OP_REGISTER_DS = 3;
/** Asks for the config page. */
export const OP_DEVICE_CONFIG = 4;
/** Asks for an IRQ object of the device. */
export const OP_GET_DEVICE_IRQ = 5;

/** The high 8 bits of `cmd` are the command, the low 24 its argument. */
export const CMD_MASK = 0xff00_0000;
/** No command: the device has handled the last one. */
export const CMD_NONE = 0;
/** Writes the device status; the argument is the status. */
export const CMD_SET_STATUS = 0x0100_0000;
/** Configures a queue from its entry; the argument is the queue. */
export const CMD_CFG_QUEUE = 0x0200_0000;
/** The driver wrote device configuration; the argument is the offset. */
export const CMD_CFG_CHANGED = 0x0400_0000;
/** An available buffer notification; the argument is the queue. */
export const CMD_NOTIFY_QUEUE = 0x0800_0000;
