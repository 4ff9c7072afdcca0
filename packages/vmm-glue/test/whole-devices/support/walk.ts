/** Descriptors as the standard's text has them (VIRTIO 1.4, 2.7.5 and 2.8.6), read one by one. */
import type { Arena, Range } from "./arena.ts";

export const NEXT = 1;
export const WRITE = 2;
export const INDIRECT = 4;

/** What a chain offers. */
export interface Offered {
  readonly readable: Range[];
  readonly writable: Range[];
}

/** One descriptor. */
export interface Descriptor {
  readonly address: number;
  readonly length: number;
  readonly flags: number;
  /** `next` of a split descriptor, `id` of a packed one. */
  readonly last: number;
}

export function splitDescriptor(arena: Arena, at: number): Descriptor {
  return { ...where(arena, at), flags: arena.read16(at + 12), last: arena.read16(at + 14) };
}

export function packedDescriptor(arena: Arena, at: number): Descriptor {
  return { ...where(arena, at), flags: arena.read16(at + 14), last: arena.read16(at + 12) };
}

function where(arena: Arena, at: number): { address: number; length: number } {
  return { address: arena.read32(at) + arena.read32(at + 4) * 2 ** 32, length: arena.read32(at + 8) };
}

/** Adds a descriptor's bytes. False where they are not memory. */
export function addBuffer(arena: Arena, { address, length, flags }: Descriptor, to: Offered): boolean {
  if (length === 0) return true;
  if (!arena.has(address, length)) return false;
  ((flags & WRITE) !== 0 ? to.writable : to.readable).push({ start: address, end: address + length });
  return true;
}

/** Adds all of an indirect table. False where it is none. */
export function addTable(arena: Arena, { address, length }: Descriptor, packed: boolean, to: Offered): boolean {
  const entries = length / 16;
  if (!Number.isInteger(entries) || entries === 0 || !arena.has(address, length)) return false;
  for (let index = 0, seen = 0; seen < entries; seen++) {
    const descriptor = (packed ? packedDescriptor : splitDescriptor)(arena, address + 16 * index);
    if ((descriptor.flags & INDIRECT) !== 0 || !addBuffer(arena, descriptor, to)) return false;
    if (packed) index++;
    else if ((descriptor.flags & NEXT) === 0) return true;
    else if (descriptor.last >= entries) return false;
    else index = descriptor.last;
  }
  return packed;
}
