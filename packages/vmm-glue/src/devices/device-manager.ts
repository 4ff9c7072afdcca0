/**
 * The devices of a machine, by id: gives each what it asks for, puts it on its bus, takes it off again and
 * takes back what it was given, while the machine runs. For machines; the counterpart of the device managers
 * that Dragonball's and rust-vmm's devices expect around them.
 * @module
 */

import type { RegionHandler, Resource, SharedMemoryList, VirtioDevice } from "@virtio-ts/virtio-device";
import type { MemoryRegion } from "@virtio-ts/vm-memory";
import { DeviceManagerError } from "./resource-error.ts";
import type { ResourceGrant, ResourcePools } from "./resource-pools.ts";

/** What a device was given before it is put on its bus. */
export interface Provision {
  /** One for each of its requests, in the same order. */
  readonly resources: readonly Resource[];
  /** Its window of shared memory, where it made one. */
  readonly sharedMemory: SharedMemoryList | null;
}

/** A device on its bus. */
export interface Attachment {
  /** Takes it off the bus, resets it and removes it for good. */
  remove(): void | Promise<void>;
}

/**
 * Puts a device on a bus, behind a transport. May throw: the device is then not added.
 * {@link onPci} makes one for the PCI bus, {@link onMmio} one for memory-mapped I/O.
 */
export type Attach<A extends Attachment> = (device: VirtioDevice, provision: Provision) => A;

/** A device in a machine. */
export interface ManagedDevice<A extends Attachment = Attachment> {
  /** The name the machine knows it by. */
  readonly id: string;
  /** The device. */
  readonly device: VirtioDevice;
  /** What it was given. */
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
   * @param pools what there is to give
   * @param regions puts devices' own memory before the guest
   */
  constructor(pools: ResourcePools, regions: RegionHandler) {
    this.#pools = pools;
    this.#regions = regions;
  }

  /** The ids of all devices, in the order in which they were added. */
  get ids(): readonly string[] {
    return [...this.#devices.keys()];
  }

  /** The device by this id, or `null`. */
  get(id: string): ManagedDevice | null {
    return this.#devices.get(id) ?? null;
  }

  /**
   * Adds a device to the machine, running or not.
   * @throws DeviceManagerError `id-taken`, `resources`, `attach`; nothing is kept of what was taken for it
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
   * Takes a device out of the machine, running or not. What it was given is free again once the promise settles.
   * @throws DeviceManagerError `unknown-id`
   */
  async remove(id: string): Promise<void> {
    const managed = this.#devices.get(id);
    if (managed === undefined) throw new DeviceManagerError("unknown-id", `there is no device "${id}"`);
    managed.removal ??= this.#take(managed);
    await managed.removal;
  }

  /** Removes every device, the last added first. */
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

/** Remembers what a device put before the guest, so that it does not stay there when the device goes. */
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
