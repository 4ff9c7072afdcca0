/**
 * The registers behind the MSI-X BAR: the table of messages, the pending bits, and delivery (PCI Local Bus
 * Specification 3.0, 6.8.2; VIRTIO 1.4, 4.1.5.1.2).
 * @module
 */

import type { AccessWidth, MsiSink, RegisterBlock } from "@virtio-ts/vm-device";
import {
  MSIX_CONTROL_ENABLE,
  MSIX_CONTROL_MASK,
  MSIX_ENTRY_ADDRESS,
  MSIX_ENTRY_CONTROL,
  MSIX_ENTRY_DATA,
  MSIX_ENTRY_MASKED,
  MSIX_ENTRY_SIZE,
  MSIX_MAX_VECTORS,
} from "../layout/msix.ts";
import { VirtioPciError } from "./errors.ts";
import type { MsixState } from "./snapshot.ts";

/** Table and pending bits each take at least half a page, so that the BAR is whole pages: drivers map it by pages. */
const LEAST_TABLE_BYTES = 0x800;

/** Bits that a driver may write in each byte of an entry: address (dword aligned), data, the mask bit. */
export const MSIX_ENTRY_WRITABLE: Readonly<Uint8Array> = Uint8Array.of(
  0xfc,
  255,
  255,
  255,
  255,
  255,
  255,
  255,
  255,
  255,
  255,
  255,
  MSIX_ENTRY_MASKED,
  0,
  0,
  0,
);

/** The MSI-X structures of a function, as the registers of their BAR. Table at 0, pending bits at half the size. */
export class MsixTable implements RegisterBlock {
  readonly size: number;
  /** Number of vectors. */
  readonly vectors: number;
  /** Offset of the pending bit array. */
  readonly pbaOffset: number;
  /** Whether the driver has enabled MSI-X. */
  enabled = false;
  /** Takes the messages. */
  sink: MsiSink | null = null;
  readonly #table: Uint8Array;
  readonly #view: DataView;
  readonly #pending: Uint8Array;
  /** Decoded entries, so that delivery decodes nothing. NaN marks an address above 2^53 - 1. */
  readonly #address: Float64Array;
  readonly #data: Uint32Array;
  readonly #masked: Uint8Array;
  #functionMasked = false;
  #busMaster = false;

  /** @throws VirtioPciError `vector-count` */
  constructor(vectors: number) {
    if (!Number.isInteger(vectors) || vectors < 1 || vectors > MSIX_MAX_VECTORS) {
      throw new VirtioPciError("vector-count", `${vectors} MSI-X vectors, not from 1 to ${MSIX_MAX_VECTORS}`);
    }
    this.vectors = vectors;
    this.#table = new Uint8Array(vectors * MSIX_ENTRY_SIZE);
    this.#view = new DataView(this.#table.buffer);
    this.#pending = new Uint8Array(Math.ceil(vectors / 64) * 8);
    this.#address = new Float64Array(vectors);
    this.#data = new Uint32Array(vectors);
    this.#masked = new Uint8Array(vectors);
    this.pbaOffset = Math.max(LEAST_TABLE_BYTES, 2 ** Math.ceil(Math.log2(this.#table.length)));
    this.size = this.pbaOffset * 2;
    this.reset();
  }

  read(offset: number, width: AccessWidth): number {
    let value = 0;
    for (let i = width - 1; i >= 0; i--) value = value * 256 + this.#byte(offset + i);
    return value;
  }

  write(offset: number, width: AccessWidth, value: number): void {
    const end = Math.min(offset + width, this.#table.length);
    for (let at = offset; at < end; at++) {
      this.#table[at] = (value >>> (8 * (at - offset))) & MSIX_ENTRY_WRITABLE[at % MSIX_ENTRY_SIZE];
    }
    for (let entry = offset >>> 4; entry * MSIX_ENTRY_SIZE < end; entry++) {
      this.#decode(entry);
      this.#release(entry);
    }
  }

  /** Sends the message of `vector`, or sets it pending if it is held. Does nothing while MSI-X is disabled. */
  fire(vector: number): void {
    if (!this.enabled || vector >= this.vectors) return;
    if (this.#held(vector)) this.#pending[vector >>> 3] |= 1 << (vector & 7);
    else this.#send(vector);
  }

  /** The driver wrote message control. */
  control(control: number): void {
    this.enabled = (control & MSIX_CONTROL_ENABLE) !== 0;
    this.#functionMasked = (control & MSIX_CONTROL_MASK) !== 0;
    this.#releaseAll();
  }

  /** The driver wrote the command register. Messages wait until the function is bus master. */
  setBusMaster(busMaster: boolean): void {
    this.#busMaster = busMaster;
    this.#releaseAll();
  }

  /** Drops pending messages, because the virtio device was reset. */
  forgetPending(): void {
    this.#pending.fill(0);
  }

  /** Bus reset: every vector masked, nothing pending. */
  reset(): void {
    this.#table.fill(0);
    for (let entry = 0; entry < this.vectors; entry++) {
      this.#table[entry * MSIX_ENTRY_SIZE + MSIX_ENTRY_CONTROL] = MSIX_ENTRY_MASKED;
      this.#decode(entry);
    }
    this.forgetPending();
  }

  /** Table and pending bits, as plain data. Configuration space saves message control. */
  save(): MsixState {
    return { table: Array.from(this.#table), pending: Array.from(this.#pending) };
  }

  /** Restores state from {@link save}, already checked. Sends nothing: see {@link setBusMaster}. */
  restore(state: MsixState): void {
    this.#table.set(state.table);
    this.#pending.set(state.pending);
    for (let entry = 0; entry < this.vectors; entry++) this.#decode(entry);
  }

  #byte(at: number): number {
    const table = this.#table;
    if (at < table.length) return table[at];
    const pending = at - this.pbaOffset;
    return pending >= 0 && pending < this.#pending.length ? this.#pending[pending] : 0;
  }

  #decode(entry: number): void {
    const at = entry * MSIX_ENTRY_SIZE;
    const low = this.#view.getUint32(at + MSIX_ENTRY_ADDRESS, true);
    const address = low + this.#view.getUint32(at + MSIX_ENTRY_ADDRESS + 4, true) * 2 ** 32;
    this.#address[entry] = address <= Number.MAX_SAFE_INTEGER ? address : Number.NaN;
    this.#data[entry] = this.#view.getUint32(at + MSIX_ENTRY_DATA, true);
    this.#masked[entry] = this.#table[at + MSIX_ENTRY_CONTROL] & MSIX_ENTRY_MASKED;
  }

  #held(vector: number): boolean {
    return this.#masked[vector] !== 0 || this.#functionMasked || !this.#busMaster;
  }

  #send(vector: number): void {
    const address = this.#address[vector];
    if (address >= 0) this.sink?.send(address, this.#data[vector]);
  }

  #release(vector: number): void {
    const bit = 1 << (vector & 7);
    if ((this.#pending[vector >>> 3] & bit) === 0 || !this.enabled || this.#held(vector)) return;
    this.#pending[vector >>> 3] &= ~bit;
    this.#send(vector);
  }

  #releaseAll(): void {
    this.#masked.forEach((_, vector) => void this.#release(vector));
  }
}
