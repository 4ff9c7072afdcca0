/**
 * Register blocks: what a device shows to port I/O and memory-mapped I/O, and the bus that reaches it.
 * @module
 */

/**
 * Width of one access, bytes. A bus splits 64-bit accesses into two of 32 bits, low half first, as the
 * transports of virtio allow (VIRTIO 1.4, 4.1.3.1 and 4.2.2).
 */
export type AccessWidth = 1 | 2 | 4;

/** The low `width` bytes of a value, as an unsigned number: what an access of that width carries. */
export function lowBytes(value: number, width: AccessWidth): number {
  return width === 4 ? value >>> 0 : value & (width === 2 ? 0xffff : 0xff);
}

/**
 * A block of device registers. It answers every access at every offset: what it does not know reads as zero
 * and ignores writes; nothing throws.
 */
export interface RegisterBlock {
  /** Bytes the block decodes. */
  readonly size: number;
  /**
   * Reads `width` bytes, little endian.
   * @param offset bytes from the start of the block; with `width` never past its end
   * @returns an unsigned number
   */
  read(offset: number, width: AccessWidth): number;
  /**
   * Writes `width` bytes, little endian.
   * @param offset bytes from the start of the block; with `width` never past its end
   * @param value an unsigned number, of which the low `width` bytes count
   */
  write(offset: number, width: AccessWidth, value: number): void;
}

/** Says what a machine's address space holds at a place; given back when a block is mapped. */
export interface Mapping {
  /** Takes the block out of the address space. Harmless when done twice. */
  unmap(): void;
}

/** An address space of register blocks: a machine's I/O ports, or its memory-mapped I/O. */
export interface IoBus {
  /**
   * Puts a block at an address.
   * @throws BusError where the range is taken or outside the address space
   */
  map(address: number, block: RegisterBlock): Mapping;
}
