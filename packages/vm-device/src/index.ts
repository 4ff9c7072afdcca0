/**
 * The traits between a device and its machine: port I/O, MMIO, PCI function, interrupt line, MSI.
 *
 * @module
 */
export {};
