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

/** What of a machine a PCI device is put into; a {@link Machine} is one. */
export interface PciMachine {
  /** RAM, as devices reach it. */
  readonly memory: GuestMemory;
  /** For work that does not fit into a turn. */
  readonly scheduler: Scheduler;
  /** The bus. */
  readonly pci: PciRoot;
  /** Where base address registers are put; `null` leaves it to the guest's firmware. */
  readonly barPools: BarPools | null;
}

/** How a device is put on the bus. */
export interface OnPciOptions extends Omit<VirtioPciOptions, "memory" | "scheduler" | "sharedMemory"> {
  /** Where on the bus, and on which line. */
  readonly plug?: PlugOptions;
}

/** A device on the PCI bus. */
export interface PciAttachment extends Attachment {
  /** The transport, with its state machine. */
  readonly transport: VirtioPciDevice;
  /** Its place on the bus. */
  readonly slot: PciSlot;
  /** Where its BARs were put; empty where that is the guest's. The guest may move them: {@link PciSlot.addressOf}. */
  readonly bars: ReadonlyMap<PciBar, number>;
  remove(): Promise<void>;
}

/** For {@link DeviceManager.add}: `machine.devices.add("net0", nic, onPci(machine))`. */
export function onPci(machine: PciMachine, options: OnPciOptions = {}): Attach<PciAttachment> {
  return (device, { sharedMemory }) => {
    const { memory, scheduler, pci } = machine;
    const transport = new VirtioPciDevice(device, { ...options, memory, scheduler, sharedMemory });
    const slot = pci.plug(transport, options.plug);
    let assignment: BarAssignment | null = null;
    try {
      assignment = machine.barPools === null ? null : assignBars(transport, machine.barPools);
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
