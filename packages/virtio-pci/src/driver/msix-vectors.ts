/**
 * The driver's side of MSI-X (PCI Local Bus 3.0, 6.8.2; VIRTIO 1.4, 4.1.5.1.2). For the driver half.
 * @module
 */

import type { HostMessage, RegisterAccess } from "@virtio-ts/virtio-driver";
import { PCI_CAP_ID_MSIX, PCI_CONFIG_SIZE } from "@virtio-ts/vm-device";
import * as layout from "../layout/msix.ts";
import type { FoundBar } from "./bars.ts";
import type { PciFunctionConfig } from "./function.ts";

/** The MSI-X table of one function. */
export class MsixVectors {
  /** Number of vectors. */
  readonly count: number;
  readonly #fn: PciFunctionConfig;
  readonly #capability: number;
  readonly #table: RegisterAccess;

  private constructor(fn: PciFunctionConfig, capability: number, count: number, table: RegisterAccess) {
    this.#fn = fn;
    this.#capability = capability;
    this.count = count;
    this.#table = table;
  }

  /**
   * The table of a function; `null` if it has none or the table is out of reach, so that the pin is used. Switches
   * messages off, because firmware may have left them on: that disables the pin and moves the legacy registers.
   * @param reach returns the registers at an offset in a BAR, or `null`
   */
  static find(
    fn: PciFunctionConfig,
    bars: ReadonlyMap<number, FoundBar>,
    reach: (bar: number, offset: number) => RegisterAccess | null,
  ): MsixVectors | null {
    for (const { id, offset } of fn.capabilities()) {
      if (id !== PCI_CAP_ID_MSIX || offset + layout.MSIX_CAP_SIZE > PCI_CONFIG_SIZE) continue;
      const count = (fn.read(offset + layout.MSIX_CONTROL, 2) & layout.MSIX_CONTROL_SIZE) + 1;
      const place = fn.read(offset + layout.MSIX_TABLE, 4);
      const bar = bars.get(place & 7);
      const start = (place & ~7) >>> 0;
      if (bar === undefined || start + count * layout.MSIX_ENTRY_SIZE > bar.size) return null;
      const table = reach(bar.index, start);
      if (table === null) return null;
      const found = new MsixVectors(fn, offset, count, table);
      found.enable(false);
      return found;
    }
    return null;
  }

  /** Writes a message into the table and unmasks the vector. */
  program(vector: number, message: HostMessage): void {
    const entry = vector * layout.MSIX_ENTRY_SIZE;
    const table = this.#table;
    table.write(entry + layout.MSIX_ENTRY_CONTROL, 4, layout.MSIX_ENTRY_MASKED);
    table.write(entry + layout.MSIX_ENTRY_ADDRESS, 4, message.address % 2 ** 32);
    table.write(entry + layout.MSIX_ENTRY_ADDRESS + 4, 4, Math.floor(message.address / 2 ** 32));
    table.write(entry + layout.MSIX_ENTRY_DATA, 4, message.data);
    table.write(entry + layout.MSIX_ENTRY_CONTROL, 4, 0);
  }

  /** Switches from the pin to messages, or back. */
  enable(enabled: boolean): void {
    const at = this.#capability + layout.MSIX_CONTROL;
    const rest = this.#fn.read(at, 2) & ~(layout.MSIX_CONTROL_ENABLE | layout.MSIX_CONTROL_MASK);
    this.#fn.write(at, 2, enabled ? rest | layout.MSIX_CONTROL_ENABLE : rest);
  }
}
