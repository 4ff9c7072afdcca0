/**
 * I/O BARs in v86: a register block behind a range of I/O ports.
 * @module
 */

import type { AccessWidth, Mapping, RegisterBlock } from "@virtio-ts/vm-device";
import type { V86Io, V86Port } from "./cpu.ts";
import type { Exits } from "./exits.ts";

/** The value of reads that nothing answers. */
const ONES = [0, 0xff, 0xffff, 0, -1] as const;

/** Puts register blocks at I/O ports. */
export class PortSpace {
  readonly #io: V86Io;
  readonly #exits: Exits;

  constructor(io: V86Io, exits: Exits) {
    this.#io = io;
    this.#exits = exits;
  }

  /**
   * Puts a block at a range of ports.
   * @returns `null` if the ports do not exist, or some are in use: the driver chose them
   */
  map(address: number, block: RegisterBlock): Mapping | null {
    const ports = this.#io.ports;
    if (address + block.size > ports.length) return null;
    for (let i = 0; i < block.size; i++) if (!this.#isEmpty(ports[address + i])) return null;
    const before = ports.slice(address, address + block.size);
    const mine = before.map((_, offset) => portOf(new Register(this.#exits, this.#io, block, address, offset)));
    mine.forEach((port, i) => {
      ports[address + i] = port;
    });
    return {
      unmap: () => {
        // v86 moves I/O BARs of its own devices without checking for another owner of the ports.
        mine.forEach((port, i) => {
          if (ports[address + i] === port) ports[address + i] = before[i];
        });
      },
    };
  }

  #isEmpty(port: V86Port): boolean {
    return port.read8 === this.#io.empty_port_read8 && port.write8 === this.#io.empty_port_write;
  }
}

/** One port of a block: `this` in the functions below. */
class Register {
  readonly exits: Exits;
  readonly io: V86Io;
  readonly block: RegisterBlock;
  readonly address: number;
  readonly offset: number;

  constructor(exits: Exits, io: V86Io, block: RegisterBlock, address: number, offset: number) {
    this.exits = exits;
    this.io = io;
    this.block = block;
    this.address = address;
    this.offset = offset;
  }
}

/** The properties are in v86's own order, so that its look-ups stay monomorphic. */
function portOf(device: Register): V86Port {
  return { read8, read16, read32, write8, write16, write32, device };
}

function read8(this: Register): number {
  return read(this, 1) & 0xff;
}

function read16(this: Register): number {
  return read(this, 2) & 0xffff;
}

function read32(this: Register): number {
  return read(this, 4) | 0;
}

function write8(this: Register, value: number): void {
  write(this, 1, value & 0xff);
}

function write16(this: Register, value: number): void {
  write(this, 2, value & 0xffff);
}

function write32(this: Register, value: number): void {
  write(this, 4, value >>> 0);
}

function read(register: Register, width: AccessWidth): number {
  const { exits, block, offset } = register;
  if (offset + width > block.size) return readApart(register, width);
  exits.enter();
  try {
    return block.read(offset, width);
  } catch (cause) {
    exits.failed(cause);
    return ONES[width];
  } finally {
    exits.leave();
  }
}

function write(register: Register, width: AccessWidth, value: number): void {
  const { exits, block, offset } = register;
  if (offset + width > block.size) {
    writeApart(register, width, value);
    return;
  }
  exits.enter();
  try {
    block.write(offset, width, value);
  } catch (cause) {
    exits.failed(cause);
  } finally {
    exits.leave();
  }
}

/** An access past the block's end is split into bytes, one for each port, the lowest first. */
function readApart({ io, address, offset }: Register, width: AccessWidth): number {
  let value = 0;
  for (let i = 0; i < width; i++) {
    const number = (address + offset + i) & 0xffff;
    const port = io.ports[number];
    value |= (port.read8.call(port.device as never, number) & 0xff) << (8 * i);
  }
  return value;
}

function writeApart({ io, address, offset }: Register, width: AccessWidth, value: number): void {
  for (let i = 0; i < width; i++) {
    const port = io.ports[(address + offset + i) & 0xffff];
    port.write8.call(port.device as never, (value >>> (8 * i)) & 0xff);
  }
}
