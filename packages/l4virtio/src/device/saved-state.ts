/**
 * The saved state of a device behind L4-VIRTIO: the state machine's and the transport's. The environment keeps the
 * registered memory and the IRQ objects.
 * @module
 */

import { RestoreError, savedList, savedRecord, savedText, savedWord, savedWords } from "@virtio-ts/virtio-device";
import { L4_EOK, l4ResultName } from "../layout/errors.ts";
import { CONFIG_PAGE_SIZE } from "../layout/header.ts";
import { type DataspaceState, Dataspaces } from "./dataspaces.ts";

/** The plain data that `L4VirtioDevice.save` returns. It survives JSON and structured clones. */
export interface L4VirtioState {
  readonly version: 1;
  /** The feature bit of CMD_CONFIG; 0 for a device without a command field. */
  readonly cmdConfigBit: number;
  /** The places of the registered dataspaces, in the order in which `restore` takes them. */
  readonly dataspaces: readonly DataspaceState[];
  /** For each queue, the index of the driver's IRQ object for used buffers. */
  readonly driverIndices: readonly number[];
  /** For each queue, the index of the device's IRQ object for available buffers. */
  readonly deviceIndices: readonly number[];
  /** The config page in 32-bit words, much of it written by the driver. */
  readonly page: readonly number[];
  /** The state machine's part, which it checks itself. */
  readonly core: unknown;
}

/** The properties of the device that saved state must match. */
export interface SavedLike {
  readonly cmdConfigBit: number;
  readonly queues: number;
  readonly events: number;
}

/**
 * Checks the transport's part of saved state and copies it.
 * @throws RestoreError if an identical device cannot have saved `state`
 */
export function parseL4State(state: unknown, like: SavedLike): L4VirtioState {
  const source = savedRecord(state, "the saved state");
  if (source.version !== 1) {
    throw new RestoreError("version", `saved state of version ${savedText(source.version)}, not 1`);
  }
  const cmdConfigBit = savedWord(source.cmdConfigBit, "cmdConfigBit");
  if (cmdConfigBit !== like.cmdConfigBit) {
    throw new RestoreError("mismatch", `saved with CMD_CONFIG as bit ${cmdConfigBit}, here it is ${like.cmdConfigBit}`);
  }
  return {
    version: 1,
    cmdConfigBit,
    dataspaces: savedList(source.dataspaces, "dataspaces").map(parseDataspace),
    driverIndices: parseIndices(source.driverIndices, "driverIndices", like),
    deviceIndices: parseIndices(source.deviceIndices, "deviceIndices", like),
    page: savedWords(source.page, CONFIG_PAGE_SIZE / 4, "page"),
    core: source.core,
  };
}

/**
 * Registers saved dataspaces again.
 * @param memory the dataspaces themselves
 * @param limit the most dataspaces
 * @throws RestoreError if they do not fit
 */
export function restoreDataspaces(
  saved: readonly DataspaceState[],
  memory: readonly Uint8Array[],
  limit: number,
): Dataspaces {
  if (saved.length !== memory.length) {
    throw new RestoreError("mismatch", `saved with ${saved.length} dataspaces, ${memory.length} are given`);
  }
  const dataspaces = new Dataspaces(limit);
  saved.forEach(({ base, offset, size }, i) => {
    const result = dataspaces.register(memory[i], base, offset, size, false);
    if (result !== L4_EOK) throw new RestoreError("state", `dataspace ${i} does not fit: ${l4ResultName(result)}`);
  });
  if (dataspaces.memory.regions.length !== saved.length) throw new RestoreError("state", "a dataspace is saved twice");
  return dataspaces;
}

function parseDataspace(value: unknown, index: number): DataspaceState {
  const source = savedRecord(value, `dataspaces[${index}]`);
  const [base, offset, size] = [source.base, source.offset, source.size].map((field) => {
    if (typeof field === "number") return field; // the registration checks its value
    throw new RestoreError("shape", `dataspaces[${index}] has ${savedText(field)} where a number must be`);
  });
  return { base, offset, size };
}

function parseIndices(value: unknown, name: string, like: SavedLike): readonly number[] {
  const indices = savedWords(value, like.queues, name);
  if (indices.every((index) => index < like.events)) return indices;
  throw new RestoreError("mismatch", `${name} has an index that is not below ${like.events}`);
}
