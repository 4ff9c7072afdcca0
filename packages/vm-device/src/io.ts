/**
 * Register blocks, through which a device answers port I/O and memory-mapped I/O, and the bus that maps them.
 * @module
 */

/**
 * Width of one access, bytes. A bus splits 64-bit accesses into two of 32 bits, low half first, as the
 * transports of virtio allow (VIRTIO 1.4, 4.1.3.1 and 4.2.2).
 */
export type AccessWidth = 1 | 2 | 4;

/** The low `width` bytes of a value, as an unsigned number. An access of that width carries these bytes. */
export function lowBytes(value: number, width: AccessWidth): number {
  return width === 4 ? value >>> 0 : value & (width === 2 ? 0xffff : 0xff);
}

/**
 * A block of device registers. It answers every access at every offset: an unknown register reads as zero and
 * ignores writes. Accesses never throw.
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
   * @param value an unsigned number; only its low `width` bytes count
   */
  write(offset: number, width: AccessWidth, value: number): void;
}

/** A block's place in an address space, as {@link IoBus.map} returns it. */
export interface Mapping {
  /** Removes the block from the address space. A second call does nothing. */
  unmap(): void;
}

/** An address space of register blocks: a machine's I/O ports, or its memory-mapped I/O. */
export interface IoBus {
  /**
   * Maps a block at an address.
   * @throws BusError if the range is taken or outside the address space
   */
  map(address: number, block: RegisterBlock): Mapping;
}
