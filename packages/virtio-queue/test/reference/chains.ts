/**
 * What a chain of descriptors says, read one descriptor after the other as VIRTIO 1.4, 2.7.5 and 2.8.5 to 2.8.8 tell it.
 * Where a descriptor breaks several rules, all of them are named: the standard does not say which comes first.
 * @module
 */

import type { QueueFaultCode } from "@virtio-ts/virtio-queue";
import type { PlainMemory } from "./plain-memory.ts";

export const NEXT = 1;
export const WRITE = 2;
export const INDIRECT = 4;

/** One element of a buffer; those of no byte are left out, for they say nothing. */
export interface Element {
  readonly address: bigint;
  readonly length: number;
  readonly writable: boolean;
}

/** A chain that is sound, or the rules that its first unsound descriptor breaks. */
export type Walk =
  | {
      readonly sound: true;
      readonly elements: Element[];
      readonly entries: number;
      readonly id: number;
      /** Entries of the descriptor table, or of the packed ring, one after the other. */
      readonly descriptors: number[];
      /** What those of a packed ring said. */
      readonly list: Descriptor[];
    }
  | { readonly sound: false; readonly faults: QueueFaultCode[] };

export interface Descriptor {
  readonly address: bigint;
  readonly length: number;
  readonly flags: number;
  /** Of a split ring. */
  readonly next: number;
  /** Of a packed ring. */
  readonly id: number;
}

/** What a walk has to know of the queue. */
export interface Queue {
  readonly size: number;
  readonly descriptorArea: number;
  readonly indirect: boolean;
}

function bad(...faults: QueueFaultCode[]): Walk {
  return { sound: false, faults };
}

/** struct virtq_desc: 64 bits of address, 32 of length, 16 of flags, 16 of next. */
function splitDescriptor(memory: PlainMemory, address: number): Descriptor {
  const [flags, next] = [memory.u16(address + 12), memory.u16(address + 14)];
  return { address: memory.u64(address), length: memory.u32(address + 8), flags, next, id: -1 };
}

/** struct pvirtq_desc: 64 bits of address, 32 of length, 16 of id, 16 of flags. */
export function packedDescriptor(memory: PlainMemory, address: number): Descriptor {
  const [id, flags] = [memory.u16(address + 12), memory.u16(address + 14)];
  return { address: memory.u64(address), length: memory.u32(address + 8), flags, next: -1, id };
}

/** What may be wrong with a descriptor of a buffer, behind those in `elements`. */
function elementFaults(memory: PlainMemory, elements: readonly Element[], { address, length, flags }: Descriptor) {
  const faults: QueueFaultCode[] = [];
  if (length === 0) return faults;
  const writable = (flags & WRITE) !== 0;
  if (!writable && elements.some((element) => element.writable)) faults.push("order");
  if (memory.pieces(address, length) === null) faults.push("buffer-out-of-range");
  return faults;
}

/** What may be wrong with a descriptor that refers to an indirect table. */
function tableFaults(memory: PlainMemory, queue: Queue, { address, length, flags }: Descriptor): QueueFaultCode[] {
  const faults: QueueFaultCode[] = [];
  if (!queue.indirect) faults.push("indirect-unexpected");
  if ((flags & NEXT) !== 0) faults.push("indirect-next");
  if (length === 0 || length % 16 !== 0) faults.push("indirect-length");
  else if (memory.pieces(address, length) === null) faults.push("indirect-out-of-range");
  return faults;
}

function addElement(elements: Element[], { address, length, flags }: Descriptor): void {
  if (length > 0) elements.push({ address, length, writable: (flags & WRITE) !== 0 });
}

/** 2.7.5.2 allows 2^32 bytes; the burst's 32 bits, and those of a used length, hold one less. */
function ended(elements: Element[], entries: number, id: number, descriptors: number[], list: Descriptor[]): Walk {
  const bytes = elements.reduce((sum, { length }) => sum + length, 0);
  return bytes >= 2 ** 32 ? bad("chain-too-large") : { sound: true, elements, entries, id, descriptors, list };
}

/** The chain of a split ring that starts at `head`, which is below the queue size. */
export function walkSplit(memory: PlainMemory, queue: Queue, head: number): Walk {
  const elements: Element[] = [];
  let table = queue.descriptorArea;
  let tableEntries = queue.size;
  let inTable = false;
  let index = head;
  const descriptors: number[] = [];
  for (let count = 0; ; ) {
    if (!inTable) descriptors.push(index);
    const descriptor = splitDescriptor(memory, table + 16 * index);
    if ((descriptor.flags & INDIRECT) !== 0) {
      const faults = tableFaults(memory, queue, descriptor);
      if (inTable) faults.push("indirect-nested");
      if (faults.length > 0) return bad(...faults);
      table = Number(descriptor.address);
      tableEntries = descriptor.length / 16;
      inTable = true;
      index = 0;
      continue;
    }
    const faults = elementFaults(memory, elements, descriptor);
    if (count === queue.size) faults.push("chain-too-long");
    if (faults.length > 0) return bad(...faults);
    count++;
    addElement(elements, descriptor);
    if ((descriptor.flags & NEXT) === 0) return ended(elements, 1, head, descriptors, []);
    if (descriptor.next >= tableEntries) return bad("next-out-of-range");
    index = descriptor.next;
  }
}

/**
 * The list of a packed ring that starts at entry `start`.
 * @param room entries from there on that the driver can have made available
 * @param read what a ring entry says
 */
export function walkPacked(
  memory: PlainMemory,
  queue: Queue,
  start: number,
  room: number,
  read: (index: number) => Descriptor = (index) => packedDescriptor(memory, queue.descriptorArea + 16 * index),
): Walk {
  const elements: Element[] = [];
  const list: Descriptor[] = [];
  const descriptors: number[] = [];
  for (let entries = 0; ; ) {
    const index = (start + entries) % queue.size;
    const descriptor = read(index);
    descriptors.push(index);
    list.push(descriptor);
    const long: QueueFaultCode[] = entries === room ? ["chain-too-long"] : [];
    entries++;
    if ((descriptor.flags & INDIRECT) !== 0) {
      const faults = [...long, ...tableFaults(memory, queue, descriptor)];
      // 2.8.19: no indirect descriptor in a list linked by NEXT.
      if (entries > 1) faults.push("indirect-next");
      const tableEntries = descriptor.length / 16;
      if (tableEntries > queue.size) faults.push("chain-too-long");
      if (faults.length > 0) return bad(...faults);
      for (let i = 0; i < tableEntries; i++) {
        const entry = packedDescriptor(memory, Number(descriptor.address) + 16 * i);
        const wrong = elementFaults(memory, elements, entry);
        if (wrong.length > 0) return bad(...wrong);
        addElement(elements, entry);
      }
      return ended(elements, entries, descriptor.id, descriptors, list);
    }
    const faults = [...long, ...elementFaults(memory, elements, descriptor)];
    if (faults.length > 0) return bad(...faults);
    addElement(elements, descriptor);
    if ((descriptor.flags & NEXT) === 0) return ended(elements, entries, descriptor.id, descriptors, list);
  }
}
