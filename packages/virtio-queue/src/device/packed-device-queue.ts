/**
 * The device's half of a packed virtqueue: VIRTIO 1.4, 2.8.
 * @module
 */

import type { GuestMemory } from "@virtio-ts/vm-memory";
import { locatePacked } from "../layout/packed.ts";
import { PackedEvents } from "../layout/packed-events.ts";
import type { OutstandingList, PackedQueueState } from "../state.ts";
import { BaseDeviceQueue } from "./base-device-queue.ts";
import type { DeviceQueueConfig } from "./config.ts";
import { PackedAvailable } from "./packed-available.ts";
import { PackedLists } from "./packed-lists.ts";
import { PackedUsed } from "./packed-used.ts";
import { checkPackedState } from "./restore.ts";

/** The device's half of a packed virtqueue. */
export class PackedDeviceQueue extends BaseDeviceQueue {
  protected override readonly available: PackedAvailable;
  protected override readonly used: PackedUsed;
  protected override readonly events: PackedEvents;
  private readonly lists: PackedLists;

  /** @throws QueueConfigError */
  constructor(memory: GuestMemory, config: DeviceQueueConfig) {
    const ring = locatePacked(memory, config);
    super(memory, config);
    this.lists = new PackedLists(ring, this.holdings);
    this.available = new PackedAvailable(memory, ring, this.holdings, this.lists, config.indirect);
    this.used = new PackedUsed(ring, this.holdings, this.lists);
    this.events = new PackedEvents(ring.deviceEvent, ring.driverEvent, config.eventIdx, ring.size);
    if (config.state !== undefined) this.restore(checkPackedState(config.state, config));
  }

  save(): PackedQueueState {
    const { available, used, holdings, lists } = this;
    const common = this.saveCommon();
    return {
      ...common,
      format: "packed",
      outstanding: common.outstanding.map((chain): OutstandingList => {
        const { head } = chain;
        return { ...chain, list: lists.numberOf(head) > 0 ? [...lists.copyOf(head)] : holdings.firstOf(head) };
      }),
      nextAvail: available.next,
      availWrap: available.wrap === 1 ? 1 : 0,
      nextUsed: used.next,
      usedWrap: used.wrap === 1 ? 1 : 0,
      withheld: used.withheld,
    };
  }

  private restore(state: PackedQueueState): void {
    const { available, used } = this;
    available.next = state.nextAvail;
    available.wrap = state.availWrap;
    used.next = state.nextUsed;
    used.wrap = state.usedWrap;
    used.withheld = state.withheld;
    this.lists.restore(state.outstanding);
    this.restoreCommon(state);
  }
}
