/** A device on a PCI bus: the modern interface (VIRTIO 1.4, 4.1.4), and the legacy one of a transitional device (4.1.4.10). */
import type { VirtioDevice } from "@virtio-ts/virtio-device";
import type { AccessWidth } from "@virtio-ts/vm-device";
import { Machine, onPci } from "../../../src/index.ts";
import { Config, LegacyRegisters, ModernRegisters, type Window } from "../../support/registers.ts";
import { anyValue, type Poke, type Port, type Random, type Surroundings } from "./port.ts";
import type { Areas } from "./ring.ts";

const COMMAND = 4;
const DECODES = 3;
const BUS_MASTER = 4;
/** Of the common configuration structure. */
const DRIVER_FEATURES = 8;
const CONFIG_VECTOR = 16;
const DEVICE_STATUS = 20;
const SELECT = 22;
const SIZE = 24;
const ENABLE = 28;
const ADDRESSES = 32;
const RESET = 58;
const WIDTHS = [1, 2, 4] as const;

abstract class PciPort implements Port {
  abstract readonly legacy: boolean;
  protected readonly config: Config;
  protected readonly transport: { save(): unknown; restore(state: unknown): void };

  constructor(device: VirtioDevice, around: Surroundings, mode: "modern" | "transitional") {
    const machine = new Machine({
      memory: around.arena.memory,
      scheduler: around.scheduler,
      controller: { setLevel: () => around.interrupt() },
      msi: null,
    });
    const { ringFeatures } = around;
    const attach = onPci(machine, { mode, interrupt: "intx", ringFeatures, onFault: (fault) => around.fault(fault) });
    const { transport, slot } = machine.devices.add("device", device, attach).attachment;
    this.transport = transport;
    this.config = new Config(machine, slot.device);
    this.config.write(COMMAND, 2, DECODES | BUS_MASTER);
  }

  get mastering(): boolean {
    return (this.config.read(COMMAND, 2) & BUS_MASTER) !== 0;
  }

  set mastering(on: boolean) {
    this.config.write(COMMAND, 2, DECODES | (on ? BUS_MASTER : 0));
  }

  save(): unknown {
    return this.transport.save();
  }

  restore(state: unknown): void {
    this.transport.restore(state);
  }

  abstract status(): number;
  abstract setStatus(value: number): void;
  abstract accept(features: bigint): void;
  abstract place(queue: number, areas: Areas): void;
  abstract takeBack(queue: number): boolean;
  abstract kick(queue: number): void;
  abstract acknowledge(): void;
  abstract poke(random: Random): Poke;
}

export class PciModernPort extends PciPort {
  readonly legacy = false;
  readonly #registers: ModernRegisters;
  readonly #queueReset: boolean;

  constructor(device: VirtioDevice, around: Surroundings) {
    super(device, around, "modern");
    this.#registers = new ModernRegisters(this.config);
    this.#queueReset = (this.#registers.offered() & (1n << 40n)) !== 0n;
  }

  status(): number {
    return this.#registers.status();
  }

  setStatus(value: number): void {
    this.#registers.setStatus(value);
  }

  accept(features: bigint): void {
    this.#registers.accept(features | (this.#queueReset ? 1n << 40n : 0n));
  }

  place(queue: number, { size, descriptor, driver, device }: Areas): void {
    const { common } = this.#registers;
    this.#registers.areas(queue, descriptor, driver, device);
    common.write(SIZE, 2, size);
    common.write(ENABLE, 2, 1);
  }

  takeBack(queue: number): boolean {
    const { common } = this.#registers;
    common.write(SELECT, 2, queue);
    if (common.read(ENABLE, 2) === 0) return false;
    common.write(RESET, 2, 1);
    return common.read(RESET, 2) === 0 && common.read(ENABLE, 2) === 0;
  }

  kick(queue: number): void {
    this.#registers.kick(queue);
  }

  acknowledge(): void {
    this.#registers.isr();
  }

  poke(random: Random): Poke {
    const { common, notify, isrWindow, deviceConfig } = this.#registers;
    const window = [common, common, common, notify, isrWindow, deviceConfig][random(6)];
    const width = WIDTHS[random(3)];
    const offset = window === common ? random(64 / width) * width : window === notify ? random(2) * 4 : random(4);
    const value = anyValue(random);
    const run = (): void => window.write(offset, width, value);
    if (random(4) === 0) return { touches: "nothing", run: () => void window.read(offset, width) };
    if (window !== common) return { touches: "nothing", run };
    const touches = (from: number, to: number): boolean => offset < to && offset + width > from;
    const queues = touches(SIZE, 26) || touches(ENABLE, 30) || touches(ADDRESSES, 56) || touches(RESET, 60);
    if (queues || touches(DRIVER_FEATURES, CONFIG_VECTOR)) return { touches: "queues", run };
    return { touches: touches(DEVICE_STATUS, SELECT) ? "status" : "nothing", run };
  }
}

const LEGACY_FEATURES = 4;
const PFN = 8;
const LEGACY_SELECT = 14;
const LEGACY_STATUS = 18;

export class PciLegacyPort extends PciPort {
  readonly legacy = true;
  readonly #registers: LegacyRegisters;
  readonly #ports: Window;

  constructor(device: VirtioDevice, around: Surroundings) {
    super(device, around, "transitional");
    this.#registers = new LegacyRegisters(this.config);
    this.#ports = this.#registers.ports;
  }

  status(): number {
    return this.#registers.status();
  }

  setStatus(value: number): void {
    this.#registers.setStatus(value);
  }

  accept(features: bigint): void {
    this.#registers.accept(features);
  }

  place(queue: number, { descriptor }: Areas): void {
    this.#ports.write(LEGACY_SELECT, 2, queue);
    this.#ports.write(PFN, 4, descriptor / 4096);
  }

  takeBack(queue: number): boolean {
    this.#ports.write(LEGACY_SELECT, 2, queue);
    this.#ports.write(PFN, 4, 0);
    return true;
  }

  kick(queue: number): void {
    this.#registers.kick(queue);
  }

  acknowledge(): void {
    this.#registers.isr();
  }

  poke(random: Random): Poke {
    const width: AccessWidth = WIDTHS[random(3)];
    const offset = random(32 / width) * width;
    const value = anyValue(random);
    const run = (): void => this.#ports.write(offset, width, value);
    if (random(4) === 0) return { touches: "nothing", run: () => void this.#ports.read(offset, width) };
    const touches = (from: number, to: number): boolean => offset < to && offset + width > from;
    if (touches(LEGACY_FEATURES, 8) || touches(PFN, 12)) return { touches: "queues", run };
    return { touches: touches(LEGACY_STATUS, 20) ? "status" : "nothing", run };
  }
}
