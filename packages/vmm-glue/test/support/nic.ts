/**
 * A network card in a machine, a wire that remembers, and a guest that drives it through the bus.
 * @module
 */

import { connect, FrameBurst, type Link, type NetBackend, type NetPort } from "@virtio-ts/net-link";
import type { DeviceFault } from "@virtio-ts/virtio-device";
import { NetDevice, type NetDeviceOptions } from "@virtio-ts/virtio-net/device";
import type { VirtioPciOptions } from "@virtio-ts/virtio-pci/device";
import { expect } from "vitest";
import { type Machine, onPci, type PciAttachment } from "../../src/index.ts";
import { Config, LegacyRegisters, ModernRegisters, type Registers } from "./registers.ts";
import { Ring } from "./ring.ts";

export const RX = 0;
export const TX = 1;
/** Bytes of memory each card's guest has for itself. */
const SHARE = 0x20_0000;
const RX_BUFFER = 2048;
const VERSION_1 = 1n << 32n;

/** The other end of a card's link: remembers what comes, sends what it is told. */
export class Wire implements NetBackend {
  readonly accepts = 15;
  readonly frames: Uint8Array[] = [];
  /** Takes nothing while set. */
  full = false;
  resumed = 0;
  #peer: NetPort | null = null;

  take(burst: FrameBurst, first: number): number {
    if (this.full) return first;
    for (let i = first; i < burst.count; i++) {
      const frame = new Uint8Array(burst.lengths[i]);
      burst.copyFrame(i, 0, frame, 0, frame.length);
      this.frames.push(frame);
    }
    return burst.count;
  }

  resume(): void {
    this.resumed++;
  }

  /** There is room again. */
  drain(): void {
    this.full = false;
    this.#peer?.resume();
  }

  attach(peer: NetPort): void {
    this.#peer = peer;
  }

  detach(): void {
    this.#peer = null;
  }

  /** Sends a frame to the card: whether it took it. */
  send(frame: Uint8Array): boolean {
    return this.sendAll([frame]) === 1;
  }

  /** Sends frames to the card, in one burst: how many it took. */
  sendAll(frames: readonly Uint8Array[]): number {
    const burst = new FrameBurst();
    for (const frame of frames) burst.addFrame(frame);
    return this.#peer?.take(burst, 0) ?? 0;
  }
}

/** Which interface the guest uses. */
export type Interface = "modern" | "legacy";

/** A frame of `length` bytes that is like no other. */
export function frame(seed: number, length = 60): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (i < 12 ? 2 : (i * 7 + seed) & 0xff));
}

/** What a {@link Nic} is made with. */
export interface NicOptions extends NetDeviceOptions {
  /** Entries of its rings. */
  readonly ringSize?: number;
  /** Whether the card has MSI-X; it has not by default. */
  readonly interrupt?: "intx" | "msix";
  /** What else its function is to be. */
  readonly pci?: Partial<VirtioPciOptions>;
}

/** A card and its guest. */
export class Nic {
  machine: Machine;
  device: NetDevice;
  readonly wire = new Wire();
  attachment: PciAttachment;
  config: Config;
  registers: Registers;
  readonly rx: Ring;
  readonly tx: Ring;
  readonly faults: DeviceFault[] = [];
  readonly base: number;
  headerSize = 12;
  #rxBuffers = new Map<number, number>();

  #link: Link | undefined;
  readonly #plugInto: (machine: Machine) => PciAttachment;

  constructor(machine: Machine, id: string, face: Interface, options: NicOptions = {}) {
    this.machine = machine;
    const { ringSize = 256, interrupt = "intx", pci = {}, ...net } = options;
    this.device = new NetDevice({ queueSize: ringSize, ...net });
    this.#plugInto = (into) => {
      this.#link = connect(this.device, this.wire);
      const attach = onPci(into, {
        mode: face === "legacy" ? "transitional" : "modern",
        interrupt,
        onFault: (fault) => this.faults.push(fault),
        ...pci,
      });
      return into.devices.add(id, this.device, attach).attachment;
    };
    this.attachment = this.#plugInto(machine);
    const { device } = this.attachment.slot;
    this.config = new Config(machine, device);
    this.registers = face === "legacy" ? new LegacyRegisters(this.config) : new ModernRegisters(this.config);
    this.base = device * SHARE;
    this.rx = new Ring(machine.memory, this.base, ringSize);
    this.tx = new Ring(machine.memory, this.base + 0x1_0000, ringSize);
  }

  /**
   * The guest goes on in another machine, with a copy of its memory and a card like this one, by the card's saved state.
   * The wire is plugged over.
   */
  moveTo(machine: Machine, state: unknown): void {
    this.#link?.disconnect();
    this.machine = machine;
    this.device = new NetDevice({ queueSize: this.rx.size, mac: this.device.mac });
    this.attachment = this.#plugInto(machine);
    this.attachment.transport.restore(state);
    this.config = new Config(machine, this.attachment.slot.device);
    this.registers = this.registers.legacy ? new LegacyRegisters(this.config) : new ModernRegisters(this.config);
    this.rx.memory = machine.memory;
    this.tx.memory = machine.memory;
  }

  /** Where the guest's transmit buffers are: 2 KiB each. */
  txBuffer(index: number): number {
    return this.base + 0x12_0000 + (index % 256) * 2048;
  }

  /** Where the guest's receive buffers are: 2 KiB each. */
  rxBuffer(index: number): number {
    return this.base + 0x2_0000 + (index % 256) * RX_BUFFER;
  }

  /** Brings the card up from anywhere, with none of its features but the version. */
  up(features = 0n): this {
    this.reset();
    this.registers.setStatus(1);
    this.registers.setStatus(3);
    this.registers.accept(this.registers.legacy ? features : features | VERSION_1);
    if (!this.registers.legacy) this.registers.setStatus(11);
    this.headerSize = this.registers.legacy && (features & (1n << 15n)) === 0n ? 10 : 12;
    this.registers.place(RX, this.rx);
    this.registers.place(TX, this.tx);
    this.registers.setStatus(this.registers.legacy ? 7 : 15);
    return this;
  }

  /** Resets the card, and forgets what the guest knew of its rings. */
  reset(): void {
    this.registers.setStatus(0);
    this.rx.clear();
    this.tx.clear();
    this.#rxBuffers.clear();
    this.registers.isr();
  }

  /** Sends frames, each as a header and a body, and kicks once. */
  send(...frames: readonly Uint8Array[]): void {
    for (const bytes of frames) {
      const at = this.txBuffer(this.tx.availIndex);
      this.machine.memory.fill(at, this.headerSize);
      this.machine.memory.write(at + this.headerSize, bytes);
      this.tx.chain({ address: at, length: this.headerSize }, { address: at + this.headerSize, length: bytes.length });
    }
    this.registers.kick(TX);
  }

  /** Gives the card receive buffers, and kicks. */
  postBuffers(count: number, length = RX_BUFFER): void {
    for (let i = 0; i < count; i++) {
      const address = this.rxBuffer(this.rx.availIndex);
      this.#rxBuffers.set(this.rx.chain({ address, length, writable: true }), address);
    }
    this.registers.kick(RX);
  }

  /** Frames received since the last call, without their headers. */
  received(): Uint8Array[] {
    return this.rx.takeUsed().map(({ id, length }) => {
      const bytes = new Uint8Array(length);
      this.machine.memory.read(this.#rxBuffers.get(id)!, bytes);
      return bytes.subarray(this.headerSize);
    });
  }

  /** Frames travel both ways. */
  expectWorks(): void {
    const out = frame(this.base / SHARE + this.wire.frames.length);
    const sent = this.wire.frames.length;
    this.send(out);
    expect(this.wire.frames.slice(sent)).toEqual([out]);
    expect(this.tx.takeUsed().length).toBe(1);
    this.received();
    this.postBuffers(1);
    const back = frame(out[20] + 1, 90);
    expect(this.wire.send(back)).toBe(true);
    expect(this.received()).toEqual([back]);
    this.registers.isr();
  }
}
