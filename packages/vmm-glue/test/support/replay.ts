/**
 * Plays the register accesses of a driver against a network card in a machine, and lets a frame out and one in. An access
 * is one word:
 *
 * - `name=value` writes a register, `name|=value` reads it first and adds bits, `name?` reads it, `name?value` expects
 *   that value. A width in bytes that is not the register's own follows its name: `config.4:2?`.
 * - Values are numbers; `@` is what belongs into the register for the selected queue (its page, its size, its areas);
 *   `offered&mask` is what the driver takes of the features it has read.
 * - `fill=n` gives the card n receive buffers and kicks after each, `fillThenKick=n` once.
 * - `command` is PCI's command register; `msix=1` is what the kernel's PCI code does: memory is decoded, MSI-X enabled,
 *   vector v sends message v.
 * @module
 */

import { connect } from "@virtio-ts/net-link";
import { NetDevice } from "@virtio-ts/virtio-net/device";
import type { AccessWidth } from "@virtio-ts/vm-device";
import { expect } from "vitest";
import { Machine, onMmio, onPci } from "../../src/index.ts";
import type { ForeignDriver } from "./foreign-drivers.ts";
import { RX, TX, Wire } from "./nic.ts";
import { Config, ModernRegisters, type Window } from "./registers.ts";
import { Ring, type Used } from "./ring.ts";

/** A register: its offset and width. */
type Place = readonly [offset: number, width: AccessWidth];

const LEGACY: Readonly<Record<string, Place>> = {
  deviceFeatures: [0, 4],
  driverFeatures: [4, 4],
  pfn: [8, 4],
  size: [12, 2],
  select: [14, 2],
  notify: [16, 2],
  status: [18, 1],
  isr: [19, 1],
  configVector: [20, 2],
  vector: [22, 2],
};

const MODERN: Readonly<Record<string, Place>> = {
  dfselect: [0, 4],
  deviceFeatures: [4, 4],
  gfselect: [8, 4],
  driverFeatures: [12, 4],
  configVector: [16, 2],
  numQueues: [18, 2],
  status: [20, 1],
  select: [22, 2],
  size: [24, 2],
  vector: [26, 2],
  enable: [28, 2],
  notifyOff: [30, 2],
  descLo: [32, 4],
  descHi: [36, 4],
  availLo: [40, 4],
  availHi: [44, 4],
  usedLo: [48, 4],
  usedHi: [52, 4],
};

const MMIO: Readonly<Record<string, Place>> = {
  magic: [0x00, 4],
  version: [0x04, 4],
  device: [0x08, 4],
  vendor: [0x0c, 4],
  deviceFeatures: [0x10, 4],
  dfselect: [0x14, 4],
  driverFeatures: [0x20, 4],
  gfselect: [0x24, 4],
  pageSize: [0x28, 4],
  select: [0x30, 4],
  sizeMax: [0x34, 4],
  size: [0x38, 4],
  align: [0x3c, 4],
  pfn: [0x40, 4],
  ready: [0x44, 4],
  notify: [0x50, 4],
  isr: [0x60, 4],
  ack: [0x64, 4],
  status: [0x70, 4],
  descLo: [0x80, 4],
  descHi: [0x84, 4],
  availLo: [0x90, 4],
  availHi: [0x94, 4],
  usedLo: [0xa0, 4],
  usedHi: [0xa4, 4],
};

const MAC = Uint8Array.of(2, 0, 0, 1, 2, 3);
const SHARE = 0x2_0000;
const BUFFER = 2048;
const WORD = /^(\w+)(?:\.(\d+))?(?::(\d))?(\?|=|\|=)(.*)$/;

/** One card, and the driver that is played. */
export class Replay {
  readonly wire = new Wire();
  readonly nic = new NetDevice({ mac: MAC });
  readonly #machine = new Machine({ memory: 8 * 2 ** 20 });
  readonly #driver: ForeignDriver;
  readonly #config: Config | null = null;
  readonly #modern: ModernRegisters | null = null;
  readonly #line: number;
  readonly #mmio: Window | null = null;
  readonly #offered = [0, 0];
  readonly #rings: Ring[] = [];
  #selected = 0;
  #page = 4096;
  #featurePage = [0, 0];
  #msix = false;
  #sent = 0;
  readonly #rxBuffers = new Map<number, number>();
  /** Data of the messages that came. */
  readonly #messages: number[] = [];

  constructor(driver: ForeignDriver) {
    this.#driver = driver;
    const machine = this.#machine;
    machine.messageLog.onMessage = (_, data) => this.#messages.push(data);
    connect(this.nic, this.wire);
    if (driver.on === "mmio 1" || driver.on === "mmio 2") {
      const version = driver.on === "mmio 1" ? 1 : 2;
      const vendor = driver.vendorId === undefined ? {} : { vendorId: driver.vendorId };
      const { address, line } = machine.devices.add(
        "nic",
        this.nic,
        onMmio(machine, { version, ...vendor }),
      ).attachment;
      this.#line = line;
      this.#mmio = {
        read: (offset, width) => machine.read(address + offset, width),
        write: (offset, width, value) => machine.write(address + offset, width, value),
      };
    } else {
      const mode = driver.on === "pci legacy" ? "transitional" : "modern";
      const { slot } = machine.devices.add("nic", this.nic, onPci(machine, { mode })).attachment;
      this.#line = slot.interrupt?.line ?? -1;
      this.#config = new Config(machine, slot.device);
      this.#config.write(4, 2, 3); // as firmware leaves it: decoding, and no bus master
      if (mode === "modern") this.#modern = new ModernRegisters(this.#config);
    }
  }

  /** Plays words. */
  play(words: string): void {
    for (const word of words.split(/\s+/)) if (word !== "") this.#word(word);
  }

  /** Whether the card offers the features that the driver can't do without. */
  get accepted(): boolean {
    const needs = this.#driver.needs ?? 0;
    return (this.#offered[0] & needs) === needs;
  }

  /** `device_status`. */
  get status(): number {
    return this.#read("status", undefined, undefined);
  }

  /** What the driver freed may be anybody's: no frame, from whichever side, gets into it. */
  expectLetGo(): void {
    const { u8 } = this.#machine.memory.regions[0];
    u8.fill(0xaa);
    const before = u8.slice();
    this.wire.send(new Uint8Array(60).fill(1));
    expect(Buffer.compare(u8, before), "memory that is the driver's again").toBe(0);
    this.#rings.length = 0;
    u8.fill(0);
  }

  /** A frame out, and one in, as the driver's rings and interrupts show them. */
  expectTraffic(): void {
    const out = Uint8Array.from({ length: 60 }, (_, i) => (i < 12 ? 2 : (i * 5 + this.#sent) & 0xff));
    const { header } = this.#driver;
    const tx = this.#rings[TX];
    const at = this.#buffer(TX);
    this.#machine.memory.fill(at, header);
    this.#machine.memory.write(at + header, out);
    if (this.#driver.apart) tx.chain({ address: at, length: header }, { address: at + header, length: out.length });
    else tx.chain({ address: at, length: header + out.length });
    this.#kick(TX);
    expect(this.wire.frames.slice(this.#sent++)).toEqual([out]);
    expect(this.#takeUsed(TX).map(({ length }) => length)).toEqual([0]);
    this.#expectInterrupt(TX);

    const back = out.map((byte, i) => (i < 12 ? byte : byte ^ 0xff));
    expect(this.wire.send(back), "the card took the frame").toBe(true);
    const used = this.#takeUsed(RX);
    expect(used.map(({ length }) => length)).toEqual([header + back.length]);
    const seen = new Uint8Array(header + back.length);
    const buffer = this.#rxBuffers.get(used[0].id)!;
    this.#machine.memory.read(buffer, seen);
    expect(seen.subarray(header)).toEqual(back);
    if (header === 12) expect([seen[10], seen[11]], "num_buffers").toEqual([1, 0]);
    this.#expectInterrupt(RX);
  }

  /** Used elements; those after them interrupt, with EVENT_IDX too. */
  #takeUsed(queue: number): Used[] {
    const ring = this.#rings[queue];
    const { memory } = this.#machine;
    memory.writeU16(ring.avail + 4 + 2 * ring.size, memory.readU16(ring.used + 2));
    return ring.takeUsed();
  }

  #expectInterrupt(queue: number): void {
    if (this.#msix) {
      expect(this.#messages.splice(0), "messages").toEqual([queue + 1]);
      return;
    }
    expect(this.#machine.lineLog.isUp(this.#line), "the line is up").toBe(true);
    this.play(this.#driver.interrupt);
    expect(this.#machine.lineLog.isUp(this.#line), "the line is up").toBe(false);
  }

  #word(word: string): void {
    const match = WORD.exec(word);
    if (match === null) throw new Error(`${word} is no access`);
    const [, name, at, digits, operator, text] = match;
    const width = digits === undefined ? undefined : (Number(digits) as AccessWidth);
    if (name === "fill" || name === "fillThenKick") this.#fill(Number(text), name === "fill");
    else if (name === "msix") this.#setMsix(text === "1");
    else if (operator === "?") {
      const value = this.#read(name, at, width);
      if (text !== "") expect(value, word).toBe(Number(text));
    } else {
      const value = this.#value(name, text);
      this.#write(name, at, width, operator === "=" ? value : this.#read(name, at, width) | value);
    }
  }

  #value(name: string, text: string): number {
    if (text === "@") return this.#ofQueue(name);
    if (text.startsWith("offered&")) return (this.#offered[this.#featurePage[1]] & Number(text.slice(8))) >>> 0;
    return Number(text);
  }

  #ofQueue(name: string): number {
    const index = this.#selected;
    this.#rings[index] ??= new Ring(this.#machine.memory, SHARE * (index + 1), this.#driver.size ?? 256);
    const ring = this.#rings[index];
    const values: Readonly<Record<string, number>> = {
      pfn: ring.base / this.#page,
      size: ring.size,
      descLo: ring.base,
      availLo: ring.avail,
      usedLo: ring.used,
    };
    return values[name];
  }

  #read(name: string, at: string | undefined, width: AccessWidth | undefined): number {
    if (name === "command") return this.#config!.read(4, 2);
    const [window, [offset, own]] = this.#find(name, at);
    const value = window.read(offset, width ?? own);
    if (name === "deviceFeatures") this.#offered[this.#featurePage[0]] = value;
    return value;
  }

  #write(name: string, at: string | undefined, width: AccessWidth | undefined, value: number): void {
    if (name === "command") {
      this.#config!.write(4, 2, value);
      return;
    }
    if (name === "select") this.#selected = value;
    else if (name === "pageSize") this.#page = value;
    else if (name === "dfselect") this.#featurePage[0] = value;
    else if (name === "gfselect") this.#featurePage[1] = value;
    const [window, [offset, own]] = this.#find(name, at);
    window.write(offset, width ?? own, value);
  }

  /** Where a register is. */
  #find(name: string, at: string | undefined): readonly [Window, Place] {
    const index = Number(at);
    if (this.#mmio !== null) return [this.#mmio, name === "config" ? [0x100 + index, 4] : MMIO[name]];
    if (this.#modern !== null) {
      if (name === "isr") return [this.#modern.isrWindow, [0, 1]];
      return name === "config" ? [this.#modern.deviceConfig, [index, 4]] : [this.#modern.common, MODERN[name]];
    }
    return [this.#config!.bar(0), name === "config" ? [(this.#msix ? 24 : 20) + index, 4] : LEGACY[name]];
  }

  #buffer(queue: number): number {
    return 0x40_0000 + 0x10_0000 * queue + (this.#rings[queue].availIndex % 256) * BUFFER;
  }

  #fill(count: number, kickEach: boolean): void {
    const { header, apart } = this.#driver;
    for (let i = 0; i < count; i++) {
      const address = this.#buffer(RX);
      const whole = { address, length: 1530, writable: true };
      const body = { address: address + header, length: 1518, writable: true };
      const ring = this.#rings[RX];
      const head = apart ? ring.chain({ ...whole, length: header }, body) : ring.chain(whole);
      this.#rxBuffers.set(head, address);
      if (kickEach) this.#kick(RX);
    }
    if (!kickEach) this.#kick(RX);
  }

  #kick(queue: number): void {
    if (this.#modern !== null) this.#modern.kick(queue);
    else this.play(`notify=${queue}`);
  }

  #setMsix(on: boolean): void {
    const config = this.#config!;
    const [at] = config.capabilities(0x11);
    config.write(4, 2, config.read(4, 2) | 2);
    const table = config.read(at + 4, 4);
    const window = config.bar(table & 7);
    for (const vector of [0, 1, 2]) {
      const entry = (table & ~7) + 16 * vector;
      window.write(entry, 4, 0xfee0_0000);
      window.write(entry + 4, 4, 0);
      window.write(entry + 8, 4, vector);
      window.write(entry + 12, 4, 0);
    }
    config.write(at + 2, 2, on ? 0x8000 : 0);
    this.#msix = on;
  }
}
