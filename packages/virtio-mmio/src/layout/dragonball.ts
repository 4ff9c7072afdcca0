/**
 * Dragonball's additions to the register map of version 2: messages instead of the line, and a doorbell for each queue.
 * Not in the standard; a driver recognizes them by the vendor id. For both halves.
 * @module
 */

/** VendorID, without the bits of the extensions. */
export const DRAGONBALL_VENDOR_ID = 0xdbfc_db00;
/** VendorID: InterruptStatus always reports a used buffer, so that interrupts need no state. */
export const DRAGONBALL_INTR_USED = 0x01;
/** VendorID: messages, see {@link MSI_CSR}. */
export const DRAGONBALL_MSI = 0x02;
/** VendorID: doorbells, see {@link DOORBELL_OFFSET}. */
export const DRAGONBALL_PER_QUEUE_NOTIFY = 0x04;

/** MSI control and status, 16 bits: {@link MSI_CSR_ENABLED}. It takes the offset of QueueReset. */
export const MSI_CSR = 0x0c0;
/** MSI command, 16 bits, write-only: a code and the vector it is for. */
export const MSI_COMMAND = 0x0c2;
/** Message address, bits 0 to 31, write-only. */
export const MSI_ADDRESS_LOW = 0x0c4;
/** Message address, bits 32 to 63, write-only. */
export const MSI_ADDRESS_HIGH = 0x0c8;
/** Message data, write-only. */
export const MSI_DATA = 0x0cc;

/** {@link MSI_CSR}: on a read, the device has messages; on a write, they are enabled. */
export const MSI_CSR_ENABLED = 0x8000;
/** {@link MSI_COMMAND}: the code. */
export const MSI_COMMAND_CODE = 0xf000;
/** {@link MSI_COMMAND}: the vector. 0 is for configuration changes, `i + 1` for queue `i`. */
export const MSI_COMMAND_VECTOR = 0x0fff;
/** Code: the vector takes the message address and data. */
export const MSI_COMMAND_UPDATE = 0x1000;
/** Code: masks the vector; its messages wait. */
export const MSI_COMMAND_MASK = 0x2000;
/** Code: unmasks the vector. */
export const MSI_COMMAND_UNMASK = 0x3000;

/** Offset of the doorbells: a write of any width and value notifies the queue. A read of QueueNotify returns it. */
export const DOORBELL_OFFSET = 0x1000;
/** Bytes between doorbells. */
export const DOORBELL_SCALE = 4;
/** Bytes of the register window with the doorbells. */
export const DRAGONBALL_WINDOW = 0x2000;
