/**
 * A v86 emulator as a machine that accepts devices. For authors of emulator pages and of test benches.
 * @module
 */

import type { RegionHandler } from "@virtio-ts/virtio-device";
import {
  type Mapping,
  type PciBar,
  type PciFunction,
  type RegisterBlock,
  reportToHost,
  type Scheduler,
} from "@virtio-ts/vm-device";
import type { GuestMemory, MemoryRegion } from "@virtio-ts/vm-memory";
import { ConfigPorts } from "./config-ports.ts";
import { cpuOf, type V86Cpu, type V86Emulator } from "./cpu.ts";
import { V86Error } from "./errors.ts";
import { Exits, type ExitWork } from "./exits.ts";
import { type InterruptCounters, type InterruptPin, Interrupts } from "./interrupts.ts";
import { MmioSpace } from "./mmio.ts";
import { PortSpace } from "./ports.ts";
import { CodePages, guestRam } from "./ram.ts";
import { RegionBlock } from "./region-block.ts";
import { MachineScheduler } from "./scheduler.ts";
import { Slot, type SlotWiring } from "./slot.ts";

/** Slots 0 and 1 are the host bridge and the ISA bridge; a BIOS looks for the screen in 2 first. */
const FIRST_SLOT = 3;
const SLOTS = 32;

/** Options of a machine. */
export interface V86MachineOptions {
  /**
   * Called with each error that a device or backend throws. Devices should not throw. By default the host shows it as
   * an uncaught error. The emulator continues in any case.
   */
  readonly onError?: (cause: unknown) => void;
}

/** The place of a function. */
export interface V86PlugOptions {
  /** Device number on the bus, 1 to 31; the first free one from 3 by default. */
  readonly slot?: number;
  /** Its name in v86's debug log. */
  readonly name?: string;
}

/** A function that is plugged in. */
export interface V86Plugged {
  /** Its device number on the bus. */
  readonly slot: number;
  /** The interrupt line of its pin's route, or `null` while the BIOS has not routed it. */
  readonly line: number | null;
  /** Address at which a BAR decodes now, or `null`. */
  addressOf(bar: PciBar): number | null;
  /** Removes the function. The guest is not told: let it detach from the device first. A second call does nothing. */
  unplug(): void;
}

/** Registers outside the PCI bus, with an optional reset. */
export interface V86Registers extends RegisterBlock {
  /** The machine is reset. */
  reset?(): void;
}

/** Counters of a machine. */
export interface V86Counters extends Readonly<InterruptCounters> {
  /** Accesses of the guest to device registers. */
  readonly exits: number;
  /** Pages of guest memory that devices wrote, as reported to the emulator. */
  readonly pagesWritten: number;
}

const machines = new WeakMap<V86Emulator, V86Machine>();

/**
 * Makes a machine from an emulator, once: for the same emulator it returns the same machine.
 *
 * Call it after the event `emulator-loaded`. The BIOS finds devices that are plugged in before `run()`. For a guest
 * that is running, or was restored from a saved state, devices are hot-plugged: Linux finds them with `echo 1 >
 * /sys/bus/pci/rescan`.
 * @throws V86Error `not-loaded`, `unsupported-version`
 */
export function attachToV86(emulator: V86Emulator, options: V86MachineOptions = {}): V86Machine {
  let machine = machines.get(emulator);
  if (machine === undefined) {
    machine = new V86Machine(emulator, cpuOf(emulator), options.onError ?? reportToHost);
    machines.set(emulator, machine);
  }
  return machine;
}

/** A machine, created by {@link attachToV86}. */
export class V86Machine implements RegionHandler {
  /** The guest memory that devices may reach. */
  readonly memory: GuestMemory;
  /** For work that does not fit into one turn. It pauses while the emulator is stopped. */
  readonly scheduler: Scheduler;
  /** Whether devices can send messages (MSI-X): the emulator was created with `acpi: true`. */
  readonly hasMsi: boolean;
  /**
   * Reports an error of a device or backend to `V86MachineOptions.onError`: for the `onFault` of devices that are
   * plugged in by hand.
   */
  readonly report: (cause: unknown) => void;
  readonly #exits: Exits;
  readonly #pages: CodePages;
  readonly #interrupts: Interrupts;
  readonly #wiring: SlotWiring;
  readonly #slots = new Map<number, Slot>();
  readonly #registers = new Set<V86Registers>();
  readonly #regions = new Map<MemoryRegion, Mapping>();

  /** Use {@link attachToV86}. */
  constructor(emulator: V86Emulator, cpu: V86Cpu, onError: (cause: unknown) => void) {
    this.report = onError;
    const work: ExitWork[] = [];
    this.#exits = new Exits(work, onError);
    this.#pages = new CodePages(cpu, this.#exits);
    this.#interrupts = new Interrupts(cpu, this.#exits);
    // Pages first, because the guest must not run stale code in answer to an interrupt.
    work.push(this.#pages, this.#interrupts);
    this.memory = guestRam(cpu, this.#pages);
    this.scheduler = new MachineScheduler(emulator, onError);
    this.hasMsi = this.#interrupts.msi !== null;
    this.#wiring = {
      pci: cpu.devices.pci,
      config: new ConfigPorts(cpu, this.#exits),
      ports: new PortSpace(cpu.io, this.#exits),
      mmio: new MmioSpace(cpu, this.#exits),
      interrupts: this.#interrupts,
      rangeFreed: () => {
        for (const slot of this.#slots.values()) slot.retry();
      },
    };
    this.#hook(cpu);
  }

  /** Current counters. */
  get counters(): V86Counters {
    return { ...this.#interrupts.counters, exits: this.#exits.count, pagesWritten: this.#pages.flushed };
  }

  /**
   * Puts a function on the PCI bus.
   * @throws V86Error `slot-taken`, `no-slot`
   */
  plugPci(fn: PciFunction, options: V86PlugOptions = {}): V86Plugged {
    const slot = new Slot(this.#freeSlot(options.slot), fn, this.#wiring);
    this.#slots.set(slot.number, slot);
    slot.connect(options.name ?? "virtio-ts");
    return {
      slot: slot.number,
      get line() {
        return slot.intx.line;
      },
      addressOf: (bar) => slot.addressOf(bar),
      unplug: () => {
        if (this.#slots.get(slot.number) === slot) this.#slots.delete(slot.number);
        slot.disconnect();
      },
    };
  }

  /**
   * Puts registers at a physical address, for a guest that is told the address, for example by an ACPI table.
   * @throws V86Error `address-taken`
   */
  mapMmio(address: number, registers: V86Registers): Mapping {
    const mapping = this.#wiring.mmio.map(address, registers);
    if (mapping === null) {
      throw new V86Error("address-taken", `no room for ${registers.size} bytes at 0x${address.toString(16)}`);
    }
    this.#registers.add(registers);
    return {
      unmap: () => {
        this.#registers.delete(registers);
        mapping.unmap();
        this.#wiring.rangeFreed();
      },
    };
  }

  /**
   * Inserts a device's own memory (DAX, pmem) into the guest, which may give buffers in it to every device. It must be
   * above the emulator's memory and below 4 GiB. The guest accesses it like registers: correctly, but slowly.
   * @throws V86Error `address-taken`
   */
  insertRegion(region: MemoryRegion): void {
    const mapping = this.mapMmio(region.start, new RegionBlock(region));
    this.memory.insert(region);
    this.#regions.set(region, mapping);
  }

  /** Removes it again. A second call does nothing. */
  removeRegion(region: MemoryRegion): void {
    this.memory.remove(region);
    this.#regions.get(region)?.unmap();
    this.#regions.delete(region);
  }

  /**
   * Connects a device outside the PCI bus to an interrupt line.
   * @param line 3 to 15: an input of the I/O APIC, or of the interrupt controllers of a machine without ACPI
   * @throws V86Error `no-line`
   */
  connectLine(line: number): InterruptPin {
    const pin = this.#interrupts.wire(line);
    if (pin === null) throw new V86Error("no-line", `interrupt line ${line} is not for devices`);
    return pin;
  }

  #freeSlot(wanted: number | undefined): number {
    const { devices } = this.#wiring.pci;
    const isFree = (slot: number): boolean => devices[slot << 3] === undefined;
    if (wanted !== undefined) {
      const exists = Number.isInteger(wanted) && wanted > 0 && wanted < SLOTS;
      if (!exists || !isFree(wanted))
        throw new V86Error("slot-taken", `slot ${wanted} is ${exists ? "taken" : "none of 1..31"}`);
      return wanted;
    }
    for (let slot = FIRST_SLOT; slot < SLOTS; slot++) if (isFree(slot)) return slot;
    throw new V86Error("no-slot", `each of the slots ${FIRST_SLOT} to ${SLOTS - 1} is taken`);
  }

  /** Hooks the three functions in which the emulator and the machine must wait for each other. */
  #hook(cpu: V86Cpu): void {
    const { main_loop, reboot_internal, set_state } = cpu;
    const mainLoop = (): number => main_loop.call(cpu);
    cpu.main_loop = () => this.#exits.run(mainLoop);
    cpu.reboot_internal = () => {
      reboot_internal.call(cpu);
      this.#resetAll();
    };
    cpu.set_state = (state) => {
      set_state.call(cpu, state);
      // The saved memory does not hold these drivers' queues: devices must not touch them.
      this.#resetAll();
      this.#interrupts.resync();
    };
  }

  #resetAll(): void {
    for (const slot of this.#slots.values()) slot.reset();
    for (const registers of this.#registers) registers.reset?.();
  }
}
