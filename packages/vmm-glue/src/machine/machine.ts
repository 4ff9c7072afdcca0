/**
 * A whole machine in one process, without a processor: memory, ports, memory-mapped I/O, a PCI bus, interrupt lines and
 * messages, laid out like a PC. Devices run in it as in an emulator; the caller of {@link Machine.read} and {@link
 * Machine.write} acts as the guest. For tests, benchmarks and trying out a device.
 * @module
 */

import type { RegionHandler } from "@virtio-ts/virtio-device";
import type { AccessWidth, MsiSink, Scheduler } from "@virtio-ts/vm-device";
import { GuestMemory, MemoryRegion } from "@virtio-ts/vm-memory";
import { AddressBus, MMIO_SPACE, PORT_SPACE } from "../bus/address-bus.ts";
import { RangePool } from "../bus/range-pool.ts";
import { DeviceManager } from "../devices/device-manager.ts";
import { ResourcePools } from "../devices/resource-pools.ts";
import { type InterruptController, InterruptRouter } from "../interrupt-router.ts";
import type { BarPools } from "../pci/bar-assignment.ts";
import { ConfigMechanism1, EcamWindow, PCI_CONFIG_PORTS } from "../pci/config-mechanism.ts";
import { PciRoot, type PciRootOptions } from "../pci/pci-root.ts";
import { TurnScheduler } from "../scheduler.ts";
import { LineLog, MessageLog } from "./controllers.ts";

/** Options of a {@link Machine}. */
export interface MachineOptions {
  /** Bytes of RAM, from address 0; 64 MiB by default. A {@link GuestMemory} is used directly. */
  readonly memory?: number | GuestMemory;
  /** The controller of interrupt lines; a {@link LineLog} by default. */
  readonly controller?: InterruptController;
  /** The sink of messages; a {@link MessageLog} by default, `null` for a machine without. */
  readonly msi?: MsiSink | null;
  /** For work that does not fit into a turn; a {@link TurnScheduler} by default. */
  readonly scheduler?: Scheduler;
  /** Called when a driver puts a base address register over an occupied range. */
  readonly onConflict?: PciRootOptions["onConflict"];
  /** Called with what a device threw in an access; by default the host shows it as an uncaught error. */
  readonly onError?: (cause: unknown) => void;
}

/** The layout of a {@link Machine}: below 4 GiB as on a PC, shared memory far above. */
const PORTS_FROM = 0xc000;
const MMIO_WINDOW = [0xe000_0000, 0xfec0_0000] as const;
const ECAM_BASE = 0xd000_0000;
const SHARED_MEMORY_WINDOW = [2 ** 40, 2 ** 41] as const;
const DEVICE_LINES = [5, 9, 10, 11] as const;
const MESSAGE_VECTORS = 2048;

/** A machine without a processor. */
export class Machine implements RegionHandler {
  /** RAM and devices' own memory, for devices to reach. */
  readonly memory: GuestMemory;
  /** I/O ports. */
  readonly ports: AddressBus;
  /** Memory-mapped I/O. */
  readonly mmio: AddressBus;
  /** Interrupt lines. */
  readonly interrupts: InterruptRouter;
  /** The PCI bus. */
  readonly pci: PciRoot;
  /** The pools that firmware would assign base address registers from. */
  readonly barPools: BarPools;
  /** The window for devices' registers and base address registers. */
  readonly mmioPool: RangePool;
  /** The resources for devices. */
  readonly resources: ResourcePools;
  /** The devices, by id. */
  readonly devices: DeviceManager;
  /** For work that does not fit into a turn. */
  readonly scheduler: Scheduler;
  /** The record of the interrupt lines, unless a controller was given. */
  readonly lineLog: LineLog = new LineLog();
  /** The record of the messages, unless a sink was given. */
  readonly messageLog: MessageLog = new MessageLog();

  constructor(options: MachineOptions = {}) {
    const memory = options.memory ?? 64 * 2 ** 20;
    this.memory = typeof memory === "number" ? new GuestMemory([new MemoryRegion(0, new Uint8Array(memory))]) : memory;
    this.scheduler = options.scheduler ?? new TurnScheduler();
    this.interrupts = new InterruptRouter(options.controller ?? this.lineLog);
    const msi = options.msi === undefined ? this.messageLog : options.msi;
    const { onConflict, onError } = options;
    const report = { ...(onConflict && { onConflict }), ...(onError && { onError }) };
    this.ports = new AddressBus({ size: PORT_SPACE, ...report });
    this.mmio = new AddressBus({ size: MMIO_SPACE, ...report });
    const { ports: io, mmio: window, interrupts } = this;
    this.pci = new PciRoot({ ports: io, mmio: window, interrupts, msi, ...report });
    this.ports.map(PCI_CONFIG_PORTS, new ConfigMechanism1(this.pci));
    this.mmio.map(ECAM_BASE, new EcamWindow(this.pci));
    const ports = new RangePool(this.ports, [PORTS_FROM, PORT_SPACE]);
    const mmio = new RangePool(this.mmio, MMIO_WINDOW);
    const sharedMemory = new RangePool(this.mmio, SHARED_MEMORY_WINDOW);
    this.barPools = { ports, mmio };
    this.mmioPool = mmio;
    const messages = msi === null ? 0 : MESSAGE_VECTORS;
    this.resources = new ResourcePools({ ports, mmio, sharedMemory, lines: DEVICE_LINES, messages });
    this.devices = new DeviceManager(this.resources, this);
  }

  /** The guest reads memory: RAM, a device's own memory, or a device's registers. */
  read(address: number, width: AccessWidth): number {
    const region = this.#regionAt(address, width);
    if (region === null) return this.mmio.read(address, width);
    let value = 0;
    for (let i = width - 1; i >= 0; i--) value = value * 256 + region.u8[address - region.start + i];
    return value;
  }

  /** The guest writes memory: RAM, a device's own memory, or a device's registers. */
  write(address: number, width: AccessWidth, value: number): void {
    const region = this.#regionAt(address, width);
    if (region === null) this.mmio.write(address, width, value);
    else for (let i = 0; i < width; i++) region.u8[address - region.start + i] = value >>> (8 * i);
  }

  /** Makes a device's own memory accessible to the guest and to all devices. */
  insertRegion(region: MemoryRegion): void {
    this.memory.insert(region);
  }

  removeRegion(region: MemoryRegion): void {
    this.memory.remove(region);
  }

  #regionAt(address: number, width: AccessWidth): MemoryRegion | null {
    const index = this.memory.locate(address, width);
    return index < 0 ? null : this.memory.regions[index];
  }
}
