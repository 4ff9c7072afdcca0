/**
 * Dragonball's messages: a vector for configuration changes and one for each queue, programmed by commands.
 * @module
 */

import { RestoreError, savedFlag, savedList, savedRecord, savedWords } from "@virtio-ts/virtio-device";
import type { MsiSink } from "@virtio-ts/vm-device";
import * as layout from "../layout/dragonball.ts";

/** A vector: its message, whether it is masked, and whether a message waits until it is unmasked. */
interface Vector {
  addressLow: number;
  addressHigh: number;
  data: number;
  masked: boolean;
  pending: boolean;
}

/** Messages as plain data. */
export interface MsiState {
  /** Whether messages are enabled. */
  readonly enabled: boolean;
  /** The message registers: address, low and high half, and data. */
  readonly message: readonly number[];
  /** Each vector's address, low and high half, data, and 1 for masked, 2 for pending. */
  readonly vectors: readonly (readonly number[])[];
}

const MASKED = 1;
const PENDING = 2;

/** The vectors of a device, and the registers that program them. */
export class MsiVectors {
  /** Whether the driver has enabled messages. Otherwise the line is used. */
  enabled = false;
  readonly #sink: MsiSink;
  readonly #vectors: readonly Vector[];
  readonly #message: Uint32Array = new Uint32Array(3);

  constructor(sink: MsiSink, vectors: number) {
    this.#sink = sink;
    this.#vectors = Array.from({ length: vectors }, () => ({
      addressLow: 0,
      addressHigh: 0,
      data: 0,
      masked: false,
      pending: false,
    }));
  }

  /** Number of vectors. */
  get count(): number {
    return this.#vectors.length;
  }

  /** The driver enables messages, or returns to the line. Each change clears the vectors. */
  control(value: number): void {
    const enabled = (value & layout.MSI_CSR_ENABLED) !== 0;
    if (enabled === this.enabled) return;
    this.reset();
    this.enabled = enabled;
  }

  /** The driver writes a command. Unknown commands and commands for missing vectors do nothing. */
  command(value: number): void {
    const vector = this.#vectors[value & layout.MSI_COMMAND_VECTOR];
    if (!this.enabled || vector === undefined) return;
    switch (value & layout.MSI_COMMAND_CODE) {
      case layout.MSI_COMMAND_UPDATE:
        [vector.addressLow, vector.addressHigh, vector.data] = this.#message;
        break;
      case layout.MSI_COMMAND_MASK:
        vector.masked = true;
        break;
      case layout.MSI_COMMAND_UNMASK:
        vector.masked = false;
        if (vector.pending) this.#send(vector);
    }
  }

  /** The driver writes {@link layout.MSI_ADDRESS_LOW}, `MSI_ADDRESS_HIGH` or `MSI_DATA`. */
  write(offset: number, value: number): void {
    if (this.enabled) this.#message[(offset - layout.MSI_ADDRESS_LOW) >>> 2] = value;
  }

  /** Sends a vector's message, or sets it pending while the vector is masked. */
  fire(index: number): void {
    const vector = this.#vectors[index];
    if (vector.masked) vector.pending = true;
    else this.#send(vector);
  }

  /** Device reset: disables messages and clears all vectors. */
  reset(): void {
    this.enabled = false;
    this.#message.fill(0);
    for (const vector of this.#vectors) {
      vector.addressLow = vector.addressHigh = vector.data = 0;
      vector.masked = vector.pending = false;
    }
  }

  /** The state as plain data. */
  save(): MsiState {
    const vectors = this.#vectors.map(({ addressLow, addressHigh, data, masked, pending }) => [
      addressLow,
      addressHigh,
      data,
      (masked ? MASKED : 0) | (pending ? PENDING : 0),
    ]);
    return { enabled: this.enabled, message: [...this.#message], vectors };
  }

  /** Restores state from {@link save}, already checked. */
  restore(state: MsiState): void {
    this.enabled = state.enabled;
    this.#message.set(state.message);
    this.#vectors.forEach((vector, index) => {
      const [addressLow, addressHigh, data, flags] = state.vectors[index];
      Object.assign(vector, {
        addressLow,
        addressHigh,
        data,
        masked: (flags & MASKED) !== 0,
        pending: (flags & PENDING) !== 0,
      });
    });
  }

  #send(vector: Vector): void {
    vector.pending = false;
    const address = vector.addressHigh * 2 ** 32 + vector.addressLow;
    if (address <= Number.MAX_SAFE_INTEGER) this.#sink.send(address, vector.data);
  }
}

/**
 * Checks messages in saved state, and copies them.
 * @param vectors the vectors to restore; `null` if the device has none
 * @throws RestoreError if {@link MsiVectors.save} of these vectors cannot have returned `state`
 */
export function parseMsi(state: unknown, vectors: MsiVectors | null): MsiState | null {
  if ((state === null) !== (vectors === null)) {
    throw new RestoreError("mismatch", "saved with messages, and there are none here, or the other way around");
  }
  if (vectors === null) return null;
  const source = savedRecord(state, "msi");
  const saved = savedList(source.vectors, "msi.vectors");
  if (saved.length !== vectors.count) {
    throw new RestoreError("mismatch", `saved with ${saved.length} vectors, here are ${vectors.count}`);
  }
  return {
    enabled: savedFlag(source.enabled, "msi.enabled"),
    message: savedWords(source.message, 3, "msi.message"),
    vectors: Array.from({ length: vectors.count }, (_, i) => parseVector(saved[i], `msi.vectors[${i}]`)),
  };
}

function parseVector(state: unknown, name: string): readonly number[] {
  const words = savedWords(state, 4, name);
  const flags = words[3];
  if (flags > (MASKED | PENDING) || flags === PENDING) throw new RestoreError("state", `${name} has flags ${flags}`);
  return words;
}
