/**
 * The options of an L4-VIRTIO device.
 * @module
 */

import type { DeviceCoreOptions } from "@virtio-ts/virtio-device";
import type { CmdConfigBit } from "../layout/header.ts";
import type { ConfigDataspace } from "../layout/objects.ts";

/** The options of an `L4VirtioDevice`. There is none for memory, because the driver provides it, as dataspaces. */
export interface L4VirtioDeviceOptions extends Pick<DeviceCoreOptions, "scheduler" | "ringFeatures" | "onFault"> {
  /** The place of the config page; by default a dataspace of its own that is not shared with other threads. */
  readonly page?: ConfigDataspace;
  /** The vendor id; 0x44, L4Re's own, by default. */
  readonly vendor?: number;
  /**
   * The feature bit of CMD_CONFIG: 160 by default, 224 for drivers of the old header, `null` for a device that is
   * configured only by IPC.
   */
  readonly cmdConfigBit?: CmdConfigBit | null;
  /** IRQ objects in each direction (`num_events_supported`), 1 to 65536; one for each queue and one more by default. */
  readonly events?: number;
  /** Dataspaces that a driver may register; 64 by default. */
  readonly maxDataspaces?: number;
}
