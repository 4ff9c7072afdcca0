/**
 * The numbers of a PCI function's configuration space: offsets of the type 0 header, bits of its command and
 * status registers, capability ids (PCI Local Bus Specification 3.0, chapter 6). For {@link PciConfigSpace}, for
 * buses, and for code that scans a bus.
 * @module
 */

/** Bytes of a conventional function's configuration space. */
export const PCI_CONFIG_SIZE = 256;
/** Bytes of a PCI Express function's configuration space. */
export const PCI_EXTENDED_CONFIG_SIZE = 4096;

/** Vendor id, 16 bits. */
export const PCI_VENDOR_ID = 0x00;
/** Device id, 16 bits. */
export const PCI_DEVICE_ID = 0x02;
/** Command register, 16 bits. */
export const PCI_COMMAND = 0x04;
/** Status register, 16 bits. */
export const PCI_STATUS = 0x06;
/** Revision id, 8 bits. */
export const PCI_REVISION_ID = 0x08;
/** Class code, 24 bits: programming interface, subclass, base class. */
export const PCI_CLASS_CODE = 0x09;
/** Cache line size, 8 bits. */
export const PCI_CACHE_LINE_SIZE = 0x0c;
/** Header type, 8 bits. */
export const PCI_HEADER_TYPE = 0x0e;
/** The first of six base address registers of 32 bits. */
export const PCI_BAR0 = 0x10;
/** Subsystem vendor id, 16 bits. */
export const PCI_SUBSYSTEM_VENDOR_ID = 0x2c;
/** Subsystem id, 16 bits. */
export const PCI_SUBSYSTEM_ID = 0x2e;
/** Offset of the first capability, 8 bits. */
export const PCI_CAPABILITIES_POINTER = 0x34;
/** Interrupt line, 8 bits: firmware stores the routing here for drivers. */
export const PCI_INTERRUPT_LINE = 0x3c;
/** Interrupt pin: 0 none, 1 INTA to 4 INTD, 8 bits. */
export const PCI_INTERRUPT_PIN = 0x3d;
/** First byte after the header: space for capabilities and the function's own registers. */
export const PCI_HEADER_END = 0x40;

/** Command: the function decodes its I/O BARs. */
export const PCI_COMMAND_IO = 0x0001;
/** Command: the function decodes its memory BARs. */
export const PCI_COMMAND_MEMORY = 0x0002;
/** Command: the function may start its own accesses, including messages. */
export const PCI_COMMAND_BUS_MASTER = 0x0004;
/** Command: the function does not assert its interrupt pin. */
export const PCI_COMMAND_INTX_DISABLE = 0x0400;

/** Status: an interrupt is pending for the pin, whether or not the pin is disabled. */
export const PCI_STATUS_INTERRUPT = 0x0008;
/** Status: the function has a list of capabilities. */
export const PCI_STATUS_CAPABILITIES = 0x0010;
/** Status: the error bits; writing a 1 clears a bit. */
export const PCI_STATUS_ERRORS = 0xf900;

/** Capability id: vendor specific. */
export const PCI_CAP_ID_VENDOR = 0x09;
/** Capability id: MSI-X. */
export const PCI_CAP_ID_MSIX = 0x11;
