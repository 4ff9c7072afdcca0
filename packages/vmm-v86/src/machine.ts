/**
 * A v86 emulator as a machine that devices can be plugged into. For authors of emulator pages and of test benches.
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

/** Slots 0 and 1 are the host bridge and the ISA bridge; 2 is where a BIOS looks for the screen first. */
const FIRST_SLOT = 3;
const SLOTS = 32;

/** How an emulator is made a machine. */
export interface V86MachineOptions {
  /**
   * Told of what a device or backend threw, which none should. By default it goes where the host shows uncaught
   * errors. The emulator goes on either way.
   */
  readonly onError?: (cause: unknown) => void;
}

/** Where a function is to be plugged in. */
export interface V86PlugOptions {
  /** Device number on the bus, 1 to 31; the first free one from 3 by default. */
  readonly slot?: number;
  /** What v86's debug log calls it. */
  readonly name?: string;
}

/** A function that is plugged in. */
export interface V86Plugged {
  /** Its device number on the bus. */
  readonly slot: number;
  /** The interrupt line its pin is routed to, or `null` while the BIOS has not routed it. */
  readonly line: number | null;
  /** Where a BAR decodes now, or `null`. */
  addressOf(bar: PciBar): number | null;
  /** Takes it off. The guest is not told: have it let go of the device first. Harmless when done twice. */
  unplug(): void;
}

/** Registers outside the PCI bus; where they say how, they start anew when the machine does. */
export interface V86Registers extends RegisterBlock {
  /** The machine is reset. */
  reset?(): void;
}

/** What a machine has counted. */
export interface V86Counters extends Readonly<InterruptCounters> {
  /** Accesses of the guest to registers of our devices. */
  readonly exits: number;
  /** Pages of guest memory that devices wrote, as told to the emulator. */
  readonly pagesWritten: number;
}

const machines = new WeakMap<V86Emulator, V86Machine>();

/**
 * Makes a machine of an emulator, once: for the same emulator it returns the same machine.
 *
 * Call it after the event `emulator-loaded`. Devices plugged in before `run()` are found by the BIOS. To a guest that
 * is running, or was restored from a saved state, devices come as if hot-plugged: Linux finds them with
 * `echo 1 > /sys/bus/pci/rescan`.
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

/** A machine made by {@link attachToV86}. */
export class V86Machine implements RegionHandler {
  /** Guest memory, as far as devices may reach it. */
  readonly memory: GuestMemory;
  /** For work that does not fit into one turn. It stands still while the emulator is stopped. */
  readonly scheduler: Scheduler;
  /** Whether devices can send messages (MSI-X): the emulator was made with `acpi: true`. */
  readonly hasMsi: boolean;
  /**
   * Tells of what a device or backend threw, as `V86MachineOptions.onError` says: for the `onFault` of devices that are
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
    // The guest must not run stale code in answer to an interrupt.
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

  /** Counters, as they are now. */
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
   * Puts registers at a physical address, for a guest that is told of them, as by an ACPI table.
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
   * Puts a device's own memory (DAX, pmem) before the guest, who may give buffers in it to all devices. It lies above
   * the emulator's memory and below 4 GiB. The guest reaches it as it reaches registers: right, but slowly.
   * @throws V86Error `address-taken`
   */
  insertRegion(region: MemoryRegion): void {
    const mapping = this.mapMmio(region.start, new RegionBlock(region));
    this.memory.insert(region);
    this.#regions.set(region, mapping);
  }

  /** Takes it out again. Harmless when done twice. */
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

  /** Three places where the emulator has to wait for us, or we for it. */
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
      // Its driver's queues are gone from memory: it must not touch them.
      this.#resetAll();
      this.#interrupts.resync();
    };
  }

  #resetAll(): void {
    for (const slot of this.#slots.values()) slot.reset();
    for (const registers of this.#registers) registers.reset?.();
  }
}
