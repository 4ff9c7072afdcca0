/**
 * Finds the virtio structures of a function from its capabilities (VIRTIO 1.4, 4.1.4). A structure is used only if it
 * is aligned, large enough, and inside an existing BAR.
 * @module
 */

import { DriverError } from "@virtio-ts/virtio-driver";
import { PCI_CAP_ID_VENDOR, PCI_CONFIG_SIZE } from "@virtio-ts/vm-device";
import * as layout from "../layout/capabilities.ts";
import type { FoundBar } from "./bars.ts";
import type { PciFunctionConfig } from "./function.ts";

/** A virtio capability, and the structure it describes. */
export interface FoundStructure {
  /** `cfg_type`. */
  readonly type: number;
  /** The BAR it is in. */
  readonly bar: number;
  /** `id` of a shared memory region. */
  readonly id: number;
  /** Offset in the BAR, bytes. */
  readonly offset: number;
  /** Bytes. */
  readonly length: number;
  /** Offset of its capability in configuration space. */
  readonly capability: number;
}

/** The requirements on one kind of structure. */
interface Shape {
  readonly name: string;
  /** Least bytes of the capability, least bytes of the structure, least alignment. */
  readonly capability: number;
  readonly length: number;
  readonly align: number;
}

/** The common structure up to `queue_device`. Later fields depend on features. */
const COMMON_LEAST = 0x38;

/** Higher BAR numbers are reserved. */
const LAST_BAR = 5;

const SHAPES: ReadonlyMap<number, Shape> = new Map([
  [layout.VIRTIO_PCI_CAP_COMMON_CFG, { name: "common", capability: layout.CAP_SIZE, length: COMMON_LEAST, align: 4 }],
  [layout.VIRTIO_PCI_CAP_NOTIFY_CFG, { name: "notify", capability: layout.NOTIFY_CAP_SIZE, length: 2, align: 2 }],
  [layout.VIRTIO_PCI_CAP_ISR_CFG, { name: "ISR", capability: layout.CAP_SIZE, length: 1, align: 1 }],
  [layout.VIRTIO_PCI_CAP_DEVICE_CFG, { name: "device", capability: layout.CAP_SIZE, length: 1, align: 4 }],
  [
    layout.VIRTIO_PCI_CAP_SHARED_MEMORY_CFG,
    { name: "shared memory", capability: layout.CAP64_SIZE, length: 1, align: 1 },
  ],
]);

/** The structures of one function. */
export class VirtioStructures {
  readonly #fn: PciFunctionConfig;
  readonly #bars: ReadonlyMap<number, FoundBar>;
  readonly #found: readonly FoundStructure[];

  /** @param bars the existing BARs, by index */
  constructor(fn: PciFunctionConfig, bars: ReadonlyMap<number, FoundBar>) {
    this.#fn = fn;
    this.#bars = bars;
    this.#found = [...virtioCapabilities(fn)];
  }

  /** Whether there are any. A function without them has only a legacy interface (4.1.2.1). */
  get present(): boolean {
    return this.#found.length > 0;
  }

  /** Offset of the capability of the window in configuration space, or `null`. */
  get window(): number | null {
    return this.#found.find(({ type }) => type === layout.VIRTIO_PCI_CAP_PCI_CFG)?.capability ?? null;
  }

  /**
   * The first usable structure of a type; `null` if the function has none of that type.
   * @throws DriverError `bad-capability` if it has some, but none is usable
   */
  find(type: number, id: number | null = null): FoundStructure | null {
    let reason: string | null = null;
    for (const found of this.#found) {
      if (found.type !== type || (id !== null && found.id !== id)) continue;
      const wrong = this.#wrong(found);
      if (wrong === null) return found;
      reason ??= wrong;
    }
    if (reason !== null) throw new DriverError("bad-capability", `${this.#fn.location}: ${reason}`);
    return null;
  }

  /** {@link find} for a structure that must be there. @throws DriverError `bad-capability` */
  need(type: number): FoundStructure {
    const found = this.find(type);
    if (found !== null) return found;
    throw new DriverError("bad-capability", `${this.#fn.location} has no ${SHAPES.get(type)?.name} structure`);
  }

  /** Why a structure can't be used, or `null`. */
  #wrong(found: FoundStructure): string | null {
    const { type, bar, offset, length, capability } = found;
    const shape = SHAPES.get(type);
    if (shape === undefined) return null;
    const what = `the ${shape.name} structure, ${length} bytes at ${offset} of BAR ${bar},`;
    const capabilityLength = this.#fn.read(capability + layout.CAP_LEN, 1);
    if (capabilityLength < shape.capability) return `${what} has a capability of ${capabilityLength} bytes`;
    if (length < shape.length) return `${what} is too short`;
    if (offset % shape.align !== 0) return `${what} is not aligned to ${shape.align}`;
    const size = this.#bars.get(bar)?.size ?? 0;
    return offset + length > size ? `${what} is not inside the BAR's ${size} bytes` : null;
  }
}

/** The virtio capabilities of a function, without those of reserved types and BARs (4.1.4.1). */
function* virtioCapabilities(fn: PciFunctionConfig): Generator<FoundStructure, void> {
  for (const { id, offset: capability } of fn.capabilities()) {
    if (id !== PCI_CAP_ID_VENDOR) continue;
    const type = fn.read(capability + layout.CAP_CFG_TYPE, 1);
    const window = type === layout.VIRTIO_PCI_CAP_PCI_CFG;
    // An unknown type may have another layout: vendor data has other fields at the offset of `bar`.
    const shape = SHAPES.get(type);
    if (shape === undefined && !window) continue;
    if (capability + (shape?.capability ?? layout.CFG_CAP_SIZE) > PCI_CONFIG_SIZE) continue;
    const bar = fn.read(capability + layout.CAP_BAR, 1);
    if (bar > LAST_BAR && !window) continue; // a driver writes the window's `bar` itself
    const wide = type === layout.VIRTIO_PCI_CAP_SHARED_MEMORY_CFG;
    const high = (at: number): number => (wide ? fn.read(capability + at, 4) * 2 ** 32 : 0);
    yield {
      type,
      bar,
      id: fn.read(capability + layout.CAP_ID, 1),
      offset: fn.read(capability + layout.CAP_OFFSET, 4) + high(layout.CAP64_OFFSET_HI),
      length: fn.read(capability + layout.CAP_LENGTH, 4) + high(layout.CAP64_LENGTH_HI),
      capability,
    };
  }
}
