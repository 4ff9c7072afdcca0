/** A device behind memory-mapped registers, of version 2 (VIRTIO 1.4, 4.2.2) or legacy version 1 (4.2.4). */
import type { VirtioDevice } from "@virtio-ts/virtio-device";
import { Machine, onMmio } from "../../../src/index.ts";
import { anyValue, type Poke, type Port, type Random, type Surroundings } from "./port.ts";
import type { Areas } from "./ring.ts";

const DRIVER_FEATURES = 0x20;
const FEATURES_SELECT = 0x24;
const PAGE_SIZE = 0x28;
const SELECT = 0x30;
const SIZE = 0x38;
const ALIGN = 0x3c;
const PFN = 0x40;
const READY = 0x44;
const NOTIFY = 0x50;
const PENDING = 0x60;
const ACKNOWLEDGE = 0x64;
const STATUS = 0x70;
const RESET = 0xc0;
/** Registers that say where queues are, or what is agreed on. */
const OF_QUEUES = [0x20, 0x24, 0x28, 0x38, 0x3c, 0x40, 0x44, 0x80, 0x84, 0x90, 0x94, 0xa0, 0xa4, 0xc0];
const WIDTHS = [1, 2, 4, 4, 4] as const;

export class MmioPort implements Port {
  readonly legacy: boolean;
  readonly #machine: Machine;
  readonly #address: number;
  readonly #transport: { save(): unknown; restore(state: unknown): void };

  constructor(device: VirtioDevice, around: Surroundings, version: 1 | 2) {
    this.legacy = version === 1;
    this.#machine = new Machine({
      memory: around.arena.memory,
      scheduler: around.scheduler,
      controller: { setLevel: () => around.interrupt() },
    });
    const { ringFeatures } = around;
    const attach = onMmio(this.#machine, { version, ringFeatures, onFault: (fault) => around.fault(fault) });
    const { transport, address } = this.#machine.devices.add("device", device, attach).attachment;
    this.#transport = transport;
    this.#address = address;
  }

  /** It has no bus that it could be kept from. */
  get mastering(): boolean {
    return true;
  }

  set mastering(_on: boolean) {}

  status(): number {
    return this.#get(STATUS);
  }

  setStatus(value: number): void {
    this.#set(STATUS, value);
  }

  accept(features: bigint): void {
    const own = this.legacy ? features : features | (1n << 40n);
    for (let page = 0; page < 2; page++) {
      this.#set(FEATURES_SELECT, page);
      this.#set(DRIVER_FEATURES, Number((own >> BigInt(32 * page)) & 0xffff_ffffn));
    }
  }

  place(queue: number, { size, descriptor, driver, device }: Areas): void {
    if (this.legacy) this.#set(PAGE_SIZE, 4096);
    this.#set(SELECT, queue);
    this.#set(SIZE, size);
    if (this.legacy) {
      this.#set(ALIGN, 4096);
      this.#set(PFN, descriptor / 4096);
      return;
    }
    [descriptor, driver, device].forEach((address, i) => {
      this.#set(0x80 + 16 * i, address);
      this.#set(0x84 + 16 * i, 0);
    });
    this.#set(READY, 1);
  }

  takeBack(queue: number): boolean {
    this.#set(SELECT, queue);
    if (this.legacy) {
      this.#set(PFN, 0);
      return true;
    }
    if (this.#get(READY) === 0) return false;
    this.#set(RESET, 1);
    return this.#get(RESET) === 0 && this.#get(READY) === 0;
  }

  kick(queue: number): void {
    this.#set(NOTIFY, queue);
  }

  acknowledge(): void {
    this.#set(ACKNOWLEDGE, this.#get(PENDING));
  }

  poke(random: Random): Poke {
    const width = WIDTHS[random(WIDTHS.length)];
    const offset = random(0x120 / width) * width;
    const value = anyValue(random);
    const at = this.#address + offset;
    const run = (): void => this.#machine.write(at, width, value);
    if (random(4) === 0) return { touches: "nothing", run: () => void this.#machine.read(at, width) };
    if (OF_QUEUES.includes(offset & ~3)) return { touches: "queues", run };
    return { touches: (offset & ~3) === STATUS ? "status" : "nothing", run };
  }

  save(): unknown {
    return this.#transport.save();
  }

  restore(state: unknown): void {
    this.#transport.restore(state);
  }

  #get(register: number): number {
    return this.#machine.read(this.#address + register, 4);
  }

  #set(register: number, value: number): void {
    this.#machine.write(this.#address + register, 4, value);
  }
}
