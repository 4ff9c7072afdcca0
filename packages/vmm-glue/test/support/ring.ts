/**
 * A split virtqueue as the tests' guest drives it: field by field, with nothing checked, so that it can be as wrong as a
 * test wants it to be. The layout is the legacy one (VIRTIO 1.4, 2.7.2), which modern devices take too.
 * @module
 */

import type { GuestMemory } from "@virtio-ts/vm-memory";

export const NEXT = 1;
export const WRITE = 2;
export const INDIRECT = 4;

/** One used element. */
export interface Used {
  readonly id: number;
  readonly length: number;
}

/** One buffer of a chain. */
export interface Buffer {
  readonly address: number;
  readonly length: number;
  readonly writable?: boolean;
}

export class Ring {
  memory: GuestMemory;
  readonly base: number;
  readonly size: number;
  /** Where the driver and device areas are. */
  readonly avail: number;
  readonly used: number;
  #next = 0;
  #availIndex = 0;
  #usedIndex = 0;

  constructor(memory: GuestMemory, base: number, size: number) {
    this.memory = memory;
    this.base = base;
    this.size = size;
    this.avail = base + 16 * size;
    this.used = Math.ceil((this.avail + 6 + 2 * size) / 4096) * 4096;
    memory.fill(base, this.used + 6 + 8 * size - base);
  }

  /** Writes one descriptor. Addresses may have 64 bits. */
  descriptor(index: number, address: number | bigint, length: number, flags = 0, next = 0): void {
    this.table(this.base, index, address, length, flags, next);
  }

  /** Writes one descriptor of any table. */
  table(table: number, index: number, address: number | bigint, length: number, flags = 0, next = 0): void {
    const at = table + 16 * index;
    this.memory.writeU64(at, BigInt(address));
    this.memory.writeU32(at + 8, length);
    this.memory.writeU16(at + 12, flags);
    this.memory.writeU16(at + 14, next);
  }

  /** Makes the chain at `head` available. */
  offer(head: number): void {
    this.memory.writeU16(this.avail + 4 + 2 * (this.#availIndex % this.size), head);
    this.setAvailIndex(this.#availIndex + 1);
  }

  /** Sets the available index, whatever lies in the ring. */
  setAvailIndex(index: number): void {
    this.#availIndex = index & 0xffff;
    this.memory.writeU16(this.avail + 2, this.#availIndex);
  }

  get availIndex(): number {
    return this.#availIndex;
  }

  /** VIRTQ_AVAIL_F_NO_INTERRUPT. */
  suppressInterrupts(on: boolean): void {
    this.memory.writeU16(this.avail, on ? 1 : 0);
  }

  /** Lays a well-formed chain over the next descriptors and makes it available: its head. */
  chain(...buffers: readonly Buffer[]): number {
    const head = this.#next;
    buffers.forEach(({ address, length, writable }, i) => {
      const index = (head + i) % this.size;
      const last = i === buffers.length - 1;
      this.descriptor(
        index,
        address,
        length,
        (last ? 0 : NEXT) | (writable === true ? WRITE : 0),
        (index + 1) % this.size,
      );
    });
    this.#next = (head + buffers.length) % this.size;
    this.offer(head);
    return head;
  }

  /** Used elements since the last call. */
  takeUsed(): Used[] {
    const taken: Used[] = [];
    const index = this.memory.readU16(this.used + 2);
    while (this.#usedIndex !== index) {
      const at = this.used + 4 + 8 * (this.#usedIndex % this.size);
      taken.push({ id: this.memory.readU32(at), length: this.memory.readU32(at + 4) });
      this.#usedIndex = (this.#usedIndex + 1) & 0xffff;
    }
    return taken;
  }

  /** Zeroes the ring and starts anew, as a driver does before it gives it to a device that was reset. */
  clear(): void {
    this.memory.fill(this.base, this.used + 6 + 8 * this.size - this.base);
    this.#next = 0;
    this.#availIndex = 0;
    this.#usedIndex = 0;
  }
}
