/**
 * The saved state of a virtio PCI function, and its checks. Saved state is untrusted: it is checked whole before any of
 * it is used.
 * @module
 */

import { ISR_CONFIG, ISR_QUEUE } from "@virtio-ts/virtio-bindings";
import {
  RestoreError,
  savedFlag,
  savedRecord,
  savedText,
  savedWord,
  savedWords,
  shapeError,
} from "@virtio-ts/virtio-device";
import { NO_VECTOR } from "../layout/common-config.ts";
import { MSIX_ENTRY_SIZE } from "../layout/msix.ts";
import { MSIX_ENTRY_WRITABLE } from "./msix.ts";

/** The MSI-X structures in a {@link VirtioPciState}. */
export interface MsixState {
  /** The table, bytes. */
  readonly table: readonly number[];
  /** The pending bit array, bytes. */
  readonly pending: readonly number[];
}

/** The registers of the transport in a {@link VirtioPciState}. */
export interface PciTransportState {
  /** `device_feature_select`. */
  readonly deviceFeatureSelect: number;
  /** `driver_feature_select`. */
  readonly driverFeatureSelect: number;
  /** `config_generation` as last presented, and the state machine's generation at that time. */
  readonly generation: readonly [presented: number, seen: number];
  /** Whether a legacy driver was refused. */
  readonly refused: boolean;
  /** ISR status. */
  readonly isr: number;
  /** `config_msix_vector`. */
  readonly configVector: number;
  /** `queue_msix_vector` of each queue. */
  readonly queueVectors: readonly number[];
  /** The MSI-X structures; `null` if the function has none. */
  readonly msix: MsixState | null;
}

/** The plain data that `VirtioPciDevice.save` returns. It survives JSON and structured clones. */
export interface VirtioPciState extends PciTransportState {
  readonly version: 1;
  /** Configuration space, bytes. */
  readonly config: readonly number[];
  /** The state of the device and its state machine, from `DeviceCore.save`. */
  readonly core: unknown;
}

/**
 * Checks saved state and copies it, so that a later change of the original has no effect, except in `core`.
 * @param like state of the function to restore
 * @throws RestoreError if `VirtioPciDevice.save` of such a function cannot have returned `state`
 */
export function parsePciState(state: unknown, like: VirtioPciState): VirtioPciState {
  const source = savedRecord(state, "the saved state");
  const { version } = source;
  if (version !== 1) throw new RestoreError("version", `saved state of version ${savedText(version)}, not 1`);
  const msix = parseMsix(source.msix, like.msix);
  const vectors = msix === null ? 0 : msix.table.length / MSIX_ENTRY_SIZE;
  const [presented, seen] = savedWords(source.generation, 2, "generation");
  return {
    version,
    config: bytes(source.config, like.config.length, "config"),
    deviceFeatureSelect: savedWord(source.deviceFeatureSelect, "deviceFeatureSelect"),
    driverFeatureSelect: savedWord(source.driverFeatureSelect, "driverFeatureSelect"),
    generation: [atMost(presented, 0xff, "generation"), seen],
    refused: savedFlag(source.refused, "refused"),
    isr: atMost(savedWord(source.isr, "isr"), ISR_QUEUE | ISR_CONFIG, "isr"),
    configVector: vector(savedWord(source.configVector, "configVector"), vectors),
    queueVectors: savedWords(source.queueVectors, like.queueVectors.length, "queueVectors").map((one) =>
      vector(one, vectors),
    ),
    msix,
    core: source.core,
  };
}

function parseMsix(value: unknown, like: MsixState | null): MsixState | null {
  if ((value === null) !== (like === null)) {
    throw new RestoreError("mismatch", "the saved function has MSI-X and this one has not, or the other way round");
  }
  if (like === null) return null;
  const source = savedRecord(value, "msix");
  const table = bytes(source.table, like.table.length, "msix.table");
  if (table.some((byte, at) => (byte & ~MSIX_ENTRY_WRITABLE[at % MSIX_ENTRY_SIZE]) !== 0)) {
    throw new RestoreError("state", "reserved bits of the MSI-X table are set");
  }
  const pending = bytes(source.pending, like.pending.length, "msix.pending");
  const vectors = table.length / MSIX_ENTRY_SIZE;
  const past = (byte: number, at: number): boolean => byte >>> Math.max(0, Math.min(8, vectors - 8 * at)) !== 0;
  if (pending.some(past)) throw new RestoreError("state", `a vector is pending that is none of ${vectors}`);
  return { table, pending };
}

function bytes(value: unknown, length: number, name: string): readonly number[] {
  const words = savedWords(value, length, name);
  for (const word of words) atMost(word, 0xff, name);
  return words;
}

function vector(value: number, vectors: number): number {
  if (value >= vectors && value !== NO_VECTOR) {
    throw new RestoreError("state", `an event is mapped to vector ${value} of ${vectors}`);
  }
  return value;
}

function atMost(value: number, most: number, name: string): number {
  if (value > most) throw shapeError(name, `at most ${most}`, value);
  return value;
}
