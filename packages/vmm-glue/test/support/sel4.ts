/**
 * A card made by the seL4 make call, a backend of functions, and a guest that drives it by ports alone.
 * @module
 */

import { Machine } from "../../src/index.ts";
import {
  IoPortList,
  type IoPortRange,
  type MakeVirtioNetOptions,
  makeVirtioNet,
  type RawDriver,
  type RawIfaceFuncs,
  type RawTxResult,
  type VirtioNet,
  virtioNetDefaultBackend,
} from "../../src/sel4/index.ts";
import { Config, LegacyRegisters } from "./registers.ts";
import { Ring } from "./ring.ts";

export const MAC = [0x02, 0x00, 0x5e, 0x14, 0x00, 0x42];

/** A backend that remembers what was asked of it; the test says what becomes of frames. */
export class RecordingFuncs implements RawIfaceFuncs {
  readonly frames: Uint8Array[] = [];
  readonly cookies: number[] = [];
  readonly irqs: number[] = [];
  readonly calls: string[] = [];
  result: RawTxResult = "complete";
  readonly getMac: RawIfaceFuncs["getMac"] = null;

  tx(_driver: RawDriver, frame: readonly Uint8Array[], cookie: number): RawTxResult {
    this.frames.push(Uint8Array.from(frame.flatMap((part) => [...part])));
    this.cookies.push(cookie);
    return this.result;
  }

  handleIRQ(_driver: RawDriver, line: number): void {
    this.irqs.push(line);
  }

  poll(): void {
    this.calls.push("poll");
  }

  printState(): void {
    this.calls.push("printState");
  }

  lowLevelInit(): { mac: Uint8Array; mtu: number } {
    this.calls.push("lowLevelInit");
    return { mac: Uint8Array.from(MAC), mtu: 1500 };
  }
}

/** What seL4's callers pass. */
export const FREE_1K: IoPortRange = { start: 0, end: 0, size: 0x400 };

/** A VM: a machine with a port list. */
export class TestVm {
  readonly machine = new Machine({ memory: 16 * 2 ** 20 });
  readonly ioports = new IoPortList(0x9000, this.machine.ports);

  make(options: Partial<MakeVirtioNetOptions> = {}): VirtioNet {
    return makeVirtioNet({
      vm: this.machine,
      pci: this.machine.pci,
      ioports: this.ioports,
      ioportRange: FREE_1K,
      portType: "free",
      interruptPin: 1,
      interruptLine: 11,
      backend: { ...virtioNetDefaultBackend(), lowLevelInit: () => ({ mac: Uint8Array.from(MAC), mtu: 1500 }) },
      ...options,
    });
  }
}

/** A guest's driver of the legacy interface. */
export class PortGuest {
  readonly vm: TestVm;
  readonly config: Config;
  readonly registers: LegacyRegisters;
  readonly rx: Ring;
  readonly tx: Ring;
  readonly base: number;

  constructor(vm: TestVm, card: VirtioNet) {
    const { device } = card.slot;
    this.vm = vm;
    this.config = new Config(vm.machine, device);
    this.registers = new LegacyRegisters(this.config);
    this.base = device * 0x10_0000;
    this.rx = new Ring(vm.machine.memory, this.base, 128);
    this.tx = new Ring(vm.machine.memory, this.base + 0x1_0000, 128);
  }

  up(): this {
    const { registers } = this;
    registers.setStatus(0);
    this.rx.clear();
    this.tx.clear();
    registers.setStatus(1);
    registers.setStatus(3);
    registers.accept(0n);
    registers.place(0, this.rx);
    registers.place(1, this.tx);
    registers.setStatus(7);
    return this;
  }

  /** Sends frames, each behind a header of 10 bytes; kicks once. */
  send(...frames: readonly Uint8Array[]): void {
    const { memory } = this.vm.machine;
    for (const frame of frames) {
      const address = this.base + 0x2_0000 + (this.tx.availIndex % 128) * 2048;
      memory.fill(address, 10);
      memory.write(address + 10, frame);
      this.tx.chain({ address, length: 10 }, { address: address + 10, length: frame.length });
    }
    this.registers.kick(1);
  }

  /** Gives the card one receive buffer; kicks. */
  post(length = 2048): void {
    this.rx.chain({ address: this.base + 0x8_0000 + (this.rx.availIndex % 128) * 2048, length, writable: true });
    this.registers.kick(0);
  }

  /** Frames received since the last call; buffers were posted in order. */
  received(): Uint8Array[] {
    return this.rx.takeUsed().map(({ id, length }) => {
      const frame = new Uint8Array(Math.max(0, length - 10));
      if (length > 10) this.vm.machine.memory.read(this.base + 0x8_0000 + id * 2048 + 10, frame);
      return frame;
    });
  }
}

/** Hands a frame to a card as its backend does: whether there was a buffer for it. */
export function arrive(card: VirtioNet, frame: Uint8Array): boolean {
  const driver = card.emulDriver!;
  const buffer = driver.allocateRxBuf(frame.length);
  if (buffer === null) return false;
  buffer.bytes.set(frame);
  driver.rxComplete([buffer.cookie], [frame.length]);
  return true;
}
