/**
 * The MSI-X capability and the structures it points to (PCI Local Bus Specification 3.0, 6.8.2), as VIRTIO 1.4,
 * 4.1.5.1.2 uses them. For both halves.
 * @module
 */

/** Message control, 16 bits, offset in the capability. */
export const MSIX_CONTROL = 2;
/** Location of the table, 32 bits: BAR in the low 3 bits, offset in the others. */
export const MSIX_TABLE = 4;
/** Location of the pending bit array, 32 bits, like {@link MSIX_TABLE}. */
export const MSIX_PBA = 8;
/** Size of the capability. */
export const MSIX_CAP_SIZE = 12;

/** Message control: table size, less one. */
export const MSIX_CONTROL_SIZE = 0x07ff;
/** Message control: every vector is masked. */
export const MSIX_CONTROL_MASK = 0x4000;
/** Message control: MSI-X is enabled and replaces the interrupt pin. */
export const MSIX_CONTROL_ENABLE = 0x8000;
/** The most vectors that a function can have. */
export const MSIX_MAX_VECTORS = 0x800;

/** Size of a table entry. */
export const MSIX_ENTRY_SIZE = 16;
/** Message address, 64 bits, offset in an entry. */
export const MSIX_ENTRY_ADDRESS = 0;
/** Message data, 32 bits, offset in an entry. */
export const MSIX_ENTRY_DATA = 8;
/** Vector control, 32 bits, offset in an entry. */
export const MSIX_ENTRY_CONTROL = 12;
/** Vector control: the vector is masked. */
export const MSIX_ENTRY_MASKED = 1;
