/**
 * The device's half of a split virtqueue: VIRTIO 1.4, 2.7.
 * @module
 */

import type { GuestMemory } from "@virtio-ts/vm-memory";
import { availEventFields, locateSplit, usedEventFields } from "../layout/split.ts";
import { SplitEvents } from "../layout/split-events.ts";
import type { SplitQueueState } from "../state.ts";
import { BaseDeviceQueue } from "./base-device-queue.ts";
import type { DeviceQueueConfig } from "./config.ts";
import { checkSplitState } from "./restore.ts";
import { SplitAvailable } from "./split-available.ts";
import { SplitUsed } from "./split-used.ts";

/** The device's half of a split virtqueue. */
export class SplitDeviceQueue extends BaseDeviceQueue {
  protected override readonly available: SplitAvailable;
  protected override readonly used: SplitUsed;
  protected override readonly events: SplitEvents;

  /** @throws QueueConfigError */
  constructor(memory: GuestMemory, config: DeviceQueueConfig) {
    const ring = locateSplit(memory, config);
    super(memory, config);
    this.available = new SplitAvailable(memory, ring, this.holdings, config.indirect);
    this.used = new SplitUsed(ring, this.holdings);
    this.events = new SplitEvents(usedEventFields(ring), availEventFields(ring), config.eventIdx);
    if (config.state !== undefined) this.restore(checkSplitState(config.state, config));
  }

  save(): SplitQueueState {
    const nextAvail = this.available.position;
    const nextUsed = this.used.position;
    return { ...this.saveCommon(), format: "split", nextAvail, nextUsed };
  }

  private restore(state: SplitQueueState): void {
    this.available.position = state.nextAvail;
    this.used.position = state.nextUsed;
    for (const { head } of state.outstanding) this.holdings.note(head, 1, 0);
    this.restoreCommon(state);
  }
}
