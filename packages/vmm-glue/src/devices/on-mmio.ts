/**
 * Puts a virtio device into a machine's memory-mapped I/O, behind the MMIO transport (VIRTIO 1.4, 4.2). For machines.
 * @module
 */

import { VirtioMmioDevice, type VirtioMmioOptions } from "@virtio-ts/virtio-mmio/device";
import type { Scheduler } from "@virtio-ts/vm-device";
import type { GuestMemory } from "@virtio-ts/vm-memory";
import type { AddressBus } from "../bus/address-bus.ts";
import type { Reservation } from "../bus/ledger.ts";
import type { RangePool } from "../bus/range-pool.ts";
import type { InterruptRouter } from "../interrupt-router.ts";
import type { Attach, Attachment } from "./device-manager.ts";
import { Granted } from "./granted.ts";
import { ResourceError } from "./resource-error.ts";
import type { ResourcePools } from "./resource-pools.ts";

/** The part of a machine that MMIO devices use; a {@link Machine} has it. */
export interface MmioMachine {
  /** The RAM that devices reach. */
  readonly memory: GuestMemory;
  /** For work that does not fit into a turn. */
  readonly scheduler: Scheduler;
  /** The address space its registers go into. */
  readonly mmio: AddressBus;
  /** The interrupt lines. */
  readonly interrupts: InterruptRouter;
  /** The addresses available for registers. */
  readonly mmioPool: RangePool;
  /** The lines available for devices. */
  readonly resources: ResourcePools;
}

/** Options of a device in memory-mapped I/O. */
export interface OnMmioOptions extends Omit<VirtioMmioOptions, "memory" | "scheduler" | "sharedMemory" | "line"> {
  /** Address of its registers; by default the one that the device asked for, otherwise the lowest free pages. */
  readonly address?: number;
  /** Its interrupt line, which others may share; by default the one that the device asked for, otherwise a free one. */
  readonly line?: number;
}

/** A device in memory-mapped I/O. A guest cannot discover it: it must be told the address and the line. */
export interface MmioAttachment extends Attachment {
  /** The transport, with its state machine. */
  readonly transport: VirtioMmioDevice;
  /** Address of its registers. */
  readonly address: number;
  /** Its interrupt line. */
  readonly line: number;
  remove(): Promise<void>;
}

/** Registers have pages of their own, so that a guest can grant them to one driver. */
const PAGE = 0x1000;

/**
 * For {@link DeviceManager.add}: `machine.devices.add("net0", nic, onMmio(machine))`. Of the resources that the device
 * asked for, the window holds its registers, the line is its interrupt, and messages are the vectors of Dragonball's
 * registers: one for its configuration and one for each queue.
 */
export function onMmio(machine: MmioMachine, options: OnMmioOptions = {}): Attach<MmioAttachment> {
  return (device, { resources: given, sharedMemory }) => {
    const { memory, scheduler, mmio, mmioPool, interrupts, resources } = machine;
    const taken: (() => void)[] = [];
    const takeBack = (): void => {
      for (const release of taken.splice(0).reverse()) release();
    };
    try {
      const granted = new Granted(given);
      const line = resources.takeLine(options.line ?? granted.take("interrupt-line")?.line);
      taken.push(line.release);
      const source = interrupts.connect(line.line);
      taken.push(() => source.disconnect());
      const transport = new VirtioMmioDevice(device, { ...options, memory, scheduler, sharedMemory, line: source });
      const { size } = transport;
      const window =
        options.address === undefined
          ? (grantedWindow(granted, size) ?? mmioPool.take(size, PAGE))
          : mmioPool.takeAt(options.address, size);
      taken.push(() => window.release());
      checkMessages(granted, transport.vectors);
      granted.end("memory-mapped I/O");
      const mapping = mmio.map(window.address, transport);
      const remove = async (): Promise<void> => {
        mapping.unmap();
        try {
          await transport.remove();
        } finally {
          takeBack();
        }
      };
      return { transport, address: window.address, line: line.line, remove };
    } catch (cause) {
      takeBack();
      throw cause;
    }
  };
}

/** The window that the device asked for, if any. It must hold the registers, which take a whole page. */
function grantedWindow(granted: Granted, size: number): Reservation | null {
  const window = granted.take("mmio");
  if (window === undefined) return null;
  if (window.size < size) {
    throw new ResourceError("mmio", `the device asked for ${window.size} bytes of registers, which take ${size}`);
  }
  return { ...window, release: () => {} }; // the device manager releases it
}

/**
 * Checks that the device asked for as many messages as there are vectors, if for any. The vector of each event is
 * fixed: with fewer messages a queue would have none, and more would stay unused.
 */
function checkMessages(granted: Granted, vectors: number): void {
  const count = granted.take("messages")?.count ?? vectors;
  if (count === vectors) return;
  const found = `memory-mapped I/O has ${vectors} vectors for it`;
  throw new ResourceError("messages", `the device asked for ${count} messages, and ${found}`);
}
