/**
 * Puts a virtio device on a machine's PCI bus, behind the PCI transport (VIRTIO 1.4, 4.1). For machines.
 * @module
 */

import { VirtioPciDevice, type VirtioPciOptions } from "@virtio-ts/virtio-pci/device";
import type { PciBar, Scheduler } from "@virtio-ts/vm-device";
import type { GuestMemory } from "@virtio-ts/vm-memory";
import { assignBars, type BarAssignment, type BarPools } from "../pci/bar-assignment.ts";
import type { PciRoot, PlugOptions } from "../pci/pci-root.ts";
import type { PciSlot } from "../pci/pci-slot.ts";
import type { Attach, Attachment } from "./device-manager.ts";
import { Granted } from "./granted.ts";
import { ResourceError } from "./resource-error.ts";

/** The part of a machine that PCI devices use; a {@link Machine} has it. */
export interface PciMachine {
  /** The RAM that devices reach. */
  readonly memory: GuestMemory;
  /** For work that does not fit into a turn. */
  readonly scheduler: Scheduler;
  /** The bus. */
  readonly pci: PciRoot;
  /** The places of base address registers; `null` leaves them to the guest's firmware. */
  readonly barPools: BarPools | null;
}

/** The kind of range that a device asks for, for each kind of base address register. */
const KINDS = { io: "ports", memory32: "mmio", memory64: "mmio" } as const;

/** Options of a device on the bus. */
export interface OnPciOptions extends Omit<VirtioPciOptions, "memory" | "scheduler" | "sharedMemory"> {
  /** Its place on the bus, and its line; by default the line that the device asked for, if any. */
  readonly plug?: PlugOptions;
}

/** A device on the PCI bus. */
export interface PciAttachment extends Attachment {
  /** The transport, with its state machine. */
  readonly transport: VirtioPciDevice;
  /** Its place on the bus. */
  readonly slot: PciSlot;
  /** Addresses of its BARs; empty if the guest assigns them. The guest may move them: {@link PciSlot.addressOf}. */
  readonly bars: ReadonlyMap<PciBar, number>;
  remove(): Promise<void>;
}

/**
 * For {@link DeviceManager.add}: `machine.devices.add("net0", nic, onPci(machine))`. Of the resources that the device
 * asked for, ports and memory-mapped I/O hold its base address registers, with the largest that fits in the first
 * range; messages are its MSI-X vectors.
 */
export function onPci(machine: PciMachine, options: OnPciOptions = {}): Attach<PciAttachment> {
  return (device, { resources, sharedMemory }) => {
    const { memory, scheduler, pci } = machine;
    const granted = new Granted(resources);
    const vectors = options.vectors ?? (options.interrupt === "intx" ? undefined : granted.take("messages")?.count);
    const transport = new VirtioPciDevice(device, {
      ...options,
      memory,
      scheduler,
      sharedMemory,
      ...(vectors === undefined ? {} : { vectors }),
    });
    const line = options.plug?.line === undefined ? granted.take("interrupt-line")?.line : undefined;
    const places = machine.barPools === null ? new Map<PciBar, number>() : placesOf(transport.bars, granted);
    granted.end(machine.barPools === null ? "a PCI bus whose firmware places registers" : "the PCI bus");
    const slot = pci.plug(transport, { ...options.plug, ...(line === undefined ? {} : { line }) });
    let assignment: BarAssignment | null = null;
    try {
      assignment = machine.barPools === null ? null : assignBars(transport, machine.barPools, places);
    } catch (cause) {
      pci.unplug(slot);
      throw cause;
    }
    const remove = async (): Promise<void> => {
      pci.unplug(slot);
      assignment?.release();
      await transport.remove();
    };
    return { transport, slot, bars: assignment?.addresses ?? new Map(), remove };
  };
}

/** Puts base address registers into the ranges that the device asked for. */
function placesOf(bars: readonly PciBar[], granted: Granted): Map<PciBar, number> {
  const places = new Map<PciBar, number>();
  const bySize = bars.toSorted((a, b) => b.size - a.size);
  for (const kind of ["ports", "mmio"] as const) {
    for (let range = granted.take(kind); range !== undefined; range = granted.take(kind)) {
      const { address, size } = range;
      const fits = (bar: PciBar): boolean =>
        KINDS[bar.kind] === kind && bar.size <= size && address % bar.size === 0 && !places.has(bar);
      const bar = bySize.find(fits);
      if (bar === undefined) {
        throw new ResourceError(kind, `${size} ${kind} at 0x${address.toString(16)} hold no base address register`);
      }
      places.set(bar, address);
    }
  }
  return places;
}
