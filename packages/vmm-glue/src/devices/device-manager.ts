/**
 * The devices of a machine, by id: it grants each its resources, puts it on its bus, removes it and takes the resources
 * back, while the machine runs. For machines; the counterpart of the device managers that Dragonball's and rust-vmm's
 * devices expect.
 * @module
 */

import type { RegionHandler, Resource, SharedMemoryList, VirtioDevice } from "@virtio-ts/virtio-device";
import type { MemoryRegion } from "@virtio-ts/vm-memory";
import { DeviceManagerError } from "./resource-error.ts";
import type { ResourceGrant, ResourcePools } from "./resource-pools.ts";

/** The grants of a device before it is put on its bus. */
export interface Provision {
  /** One for each request, in the same order. */
  readonly resources: readonly Resource[];
  /** The device's window of shared memory, if it made one. */
  readonly sharedMemory: SharedMemoryList | null;
}

/** A device on its bus. */
export interface Attachment {
  /** Takes the device off the bus, resets it and removes it for good. */
  remove(): void | Promise<void>;
}

/**
 * Puts a device on a bus, behind a transport. If it throws, the device is not added. {@link onPci} makes one for the
 * PCI bus, {@link onMmio} one for memory-mapped I/O.
 */
export type Attach<A extends Attachment> = (device: VirtioDevice, provision: Provision) => A;

/** A device in a machine. */
export interface ManagedDevice<A extends Attachment = Attachment> {
  /** Its name in the machine. */
  readonly id: string;
  /** The device. */
  readonly device: VirtioDevice;
  /** Its granted resources. */
  readonly resources: readonly Resource[];
  /** Its place on its bus. */
  readonly attachment: A;
}

interface Managed extends ManagedDevice {
  readonly takeBack: () => void;
  removal: Promise<void> | null;
}

/** Adds, finds and removes the devices of a machine. */
export class DeviceManager {
  readonly #pools: ResourcePools;
  readonly #regions: RegionHandler;
  readonly #devices = new Map<string, Managed>();

  /**
   * @param pools the machine's resources
   * @param regions inserts devices' own memory into the guest
   */
  constructor(pools: ResourcePools, regions: RegionHandler) {
    this.#pools = pools;
    this.#regions = regions;
  }

  /** The ids of all devices, in the order of their addition. */
  get ids(): readonly string[] {
    return [...this.#devices.keys()];
  }

  /** The device with this id, or `null`. */
  get(id: string): ManagedDevice | null {
    return this.#devices.get(id) ?? null;
  }

  /**
   * Adds a device to the machine, running or not.
   * @throws DeviceManagerError `id-taken`, `resources`, `attach`; all its resources are then released
   */
  add<A extends Attachment>(id: string, device: VirtioDevice, attach: Attach<A>): ManagedDevice<A> {
    if (this.#devices.has(id)) throw new DeviceManagerError("id-taken", `there is a device "${id}" already`);
    const grant = this.#grant(id, device);
    const regions = new Regions(this.#regions);
    const takeBack = (): void => {
      regions.removeAll();
      grant.release();
    };
    try {
      const sharedMemory = device.setResources?.(grant.resources, regions) ?? null;
      const attachment = attach(device, { resources: grant.resources, sharedMemory });
      const managed = { id, device, resources: grant.resources, attachment, takeBack, removal: null };
      this.#devices.set(id, managed);
      return managed;
    } catch (cause) {
      takeBack();
      throw new DeviceManagerError("attach", `"${id}" could not be put on its bus: ${text(cause)}`, { cause });
    }
  }

  /**
   * Removes a device from the machine, running or not. Its resources are free again once the promise settles.
   * @throws DeviceManagerError `unknown-id`
   */
  async remove(id: string): Promise<void> {
    const managed = this.#devices.get(id);
    if (managed === undefined) throw new DeviceManagerError("unknown-id", `there is no device "${id}"`);
    managed.removal ??= this.#take(managed);
    await managed.removal;
  }

  /** Removes all devices, the last added first. */
  async removeAll(): Promise<void> {
    for (const id of this.ids.toReversed()) await this.remove(id);
  }

  async #take(managed: Managed): Promise<void> {
    try {
      await managed.attachment.remove();
    } finally {
      managed.takeBack();
      this.#devices.delete(managed.id);
    }
  }

  #grant(id: string, device: VirtioDevice): ResourceGrant {
    try {
      return this.#pools.allocate(device.resourceRequests?.() ?? []);
    } catch (cause) {
      throw new DeviceManagerError("resources", `"${id}" can't have what it needs: ${text(cause)}`, { cause });
    }
  }
}

/** Records the memory that a device inserts into the guest, so that it is removed with the device. */
class Regions implements RegionHandler {
  readonly #handler: RegionHandler;
  readonly #inserted = new Set<MemoryRegion>();

  constructor(handler: RegionHandler) {
    this.#handler = handler;
  }

  insertRegion(region: MemoryRegion): void {
    this.#handler.insertRegion(region);
    this.#inserted.add(region);
  }

  removeRegion(region: MemoryRegion): void {
    if (this.#inserted.delete(region)) this.#handler.removeRegion(region);
  }

  removeAll(): void {
    for (const region of [...this.#inserted]) this.removeRegion(region);
  }
}

function text(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
