/**
 * An address bus beside a reference that knows an address space as a list of addresses, each of which is nobody's or
 * one register of one block, and is promised or not.
 * @module
 */

import { propertyOptions } from "@virtio-ts/rounds";
import type { AccessWidth, RegisterBlock } from "@virtio-ts/vm-device";
import fc from "fast-check";
import { expect, it } from "vitest";
import { AddressBus, type BusError, type BusMapping, RangePool, type Reservation } from "../src/index.ts";

const SPACE = 64;

/** Answers with the number of its access, in more bytes than were asked for; throws at one offset. */
class Block implements RegisterBlock {
  readonly size: number;
  readonly name: number;
  readonly badOffset: number;
  readonly log: string[];

  constructor(name: number, size: number, badOffset: number, log: string[]) {
    this.name = name;
    this.size = size;
    this.badOffset = badOffset;
    this.log = log;
  }

  read(offset: number, width: AccessWidth): number {
    this.log.push(`${this.name} read ${offset} ${width}`);
    if (offset === this.badOffset) throw new Error("bad register");
    return 0xa1b2_c3d4 + this.log.length;
  }

  write(offset: number, width: AccessWidth, value: number): void {
    this.log.push(`${this.name} write ${offset} ${width} ${value}`);
    if (offset === this.badOffset) throw new Error("bad register");
  }
}

/** One address. */
interface Cell {
  block: Block | null;
  offset: number;
  promised: boolean;
}

class Reference {
  readonly cells: Cell[] = Array.from({ length: SPACE }, () => ({ block: null, offset: 0, promised: false }));
  readonly log: string[] = [];
  unclaimed = 0;
  errors = 0;

  range(address: number, size: number): Cell[] | null {
    if (size < 1 || address < 0 || address + size > SPACE) return null;
    return this.cells.slice(address, address + size);
  }

  map(address: number, block: Block): string {
    const cells = this.range(address, block.size);
    if (cells === null) return "out-of-range";
    if (cells.some((cell) => cell.block !== null && cell.block !== block)) return "overlap";
    this.unmap(block);
    cells.forEach((cell, offset) => {
      cell.block = block;
      cell.offset = offset;
    });
    return "done";
  }

  unmap(block: Block): void {
    for (const cell of this.cells) if (cell.block === block) cell.block = null;
  }

  isFree(address: number, size: number): boolean {
    return this.range(address, size)?.every((cell) => cell.block === null && !cell.promised) ?? false;
  }

  free(size: number, align: number, start: number, end: number): number | null {
    for (let at = 0; at + size <= Math.min(end, SPACE); at++) {
      if (at >= start && at % align === 0 && this.isFree(at, size)) return at;
    }
    return null;
  }

  /** One access of the block's, or one of a byte each, from the lowest address up. */
  access(address: number, width: AccessWidth, value: number | null): number {
    const cells = Array.from({ length: width }, (_, i) => this.cells[address + i]);
    const first = cells[0]?.block ?? null;
    const whole =
      first !== null && cells.every((cell, i) => cell?.block === first && cell.offset === cells[0].offset + i);
    if (whole) return this.one(first, cells[0].offset, width, value);
    let result = 0;
    for (let i = 0; i < width; i++) {
      const block = cells[i]?.block ?? null;
      if (block === null) this.unclaimed++;
      const byte = value === null ? null : Math.floor(value / 256 ** i) % 256;
      result += (block === null ? 0xff : this.one(block, cells[i].offset, 1, byte)) * 256 ** i;
    }
    return result;
  }

  one(block: Block, offset: number, width: AccessWidth, value: number | null): number {
    const kept = 256 ** width;
    if (value === null) this.log.push(`${block.name} read ${offset} ${width}`);
    else this.log.push(`${block.name} write ${offset} ${width} ${value % kept}`);
    if (offset !== block.badOffset) return (0xa1b2_c3d4 + this.log.length) % kept;
    this.errors++;
    return kept - 1;
  }
}

const address = fc.integer({ min: -2, max: SPACE + 2 });
const size = fc.oneof(fc.constantFrom(0, 1, 2, 4, SPACE), fc.integer({ min: 0, max: 12 }));
const width = fc.constantFrom<AccessWidth>(1, 2, 4);
const which = fc.nat({ max: 5 });
const step = fc.oneof(
  fc.record({ what: fc.constant("map"), address, size, which }),
  fc.record({ what: fc.constantFrom("move", "unmap", "release"), address, size, which }),
  fc.record({ what: fc.constantFrom("reserve", "find", "take"), address, size, which }),
  fc.record({ what: fc.constantFrom("read", "write"), address, size: width, which }),
  fc.record({ what: fc.constantFrom("read", "write"), address, size: width, which }),
);

function codeOf(run: () => void): string {
  try {
    run();
    return "done";
  } catch (cause) {
    return (cause as BusError).code;
  }
}

it("a bus maps, moves, promises, finds and accesses as the list of its addresses does", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const reference = new Reference();
      const log: string[] = [];
      const thrown: unknown[] = [];
      const bus = new AddressBus({ size: SPACE, onError: (cause) => thrown.push(cause) });
      const pools = [new RangePool(bus, [0, SPACE]), new RangePool(bus, [8, 40])];
      const mapped: { block: Block; mapping: BusMapping }[] = [];
      const promised: Reservation[] = [];
      const promise = (reservation: Reservation): void => {
        promised.push(reservation);
        for (const cell of reference.range(reservation.address, reservation.size)!) cell.promised = true;
      };
      steps.forEach(({ what, address, size, which }, i) => {
        const some = mapped[which];
        if (what === "map") {
          const block = new Block(i, size, which, log);
          let mapping: BusMapping | null = null;
          const code = codeOf(() => {
            mapping = bus.map(address, block);
          });
          expect(code).toBe(reference.map(address, block));
          if (mapping !== null) mapped.push({ block, mapping });
        } else if (what === "move" && some !== undefined) {
          expect(codeOf(() => some.mapping.move(address))).toBe(reference.map(address, some.block));
        } else if (what === "unmap" && some !== undefined) {
          some.mapping.unmap();
          reference.unmap(some.block);
        } else if (what === "reserve") {
          const free = reference.isFree(address, size);
          expect(bus.isFree(address, size)).toBe(free);
          const code = codeOf(() => promise(pools[which % 2].takeAt(address, size)));
          expect(code).toBe(free ? "done" : reference.range(address, size) === null ? "out-of-range" : "overlap");
        } else if (what === "take" && size > 0) {
          const [start, end] = which % 2 === 0 ? [0, SPACE] : [8, 40];
          const align = 2 ** (which >> 1);
          const expected = reference.free(size, align, start, end);
          const code = codeOf(() => {
            const reservation = pools[which % 2].take(size, align);
            expect(reservation.address).toBe(expected);
            promise(reservation);
          });
          expect(code).toBe(expected === null ? "no-space" : "done");
        } else if (what === "release") {
          const [reservation] = promised.splice(which, 1);
          reservation?.release();
          reservation?.release();
          if (reservation !== undefined) {
            for (const cell of reference.range(reservation.address, reservation.size)!) cell.promised = false;
          }
        } else if (what === "find" && size > 0) {
          const start = Math.max(0, address);
          expect(bus.freeRange(size, 2 ** (which % 4), [start, SPACE + 9])).toBe(
            reference.free(size, 2 ** (which % 4), start, SPACE),
          );
        } else if (what === "read") {
          expect(bus.read(address, size as AccessWidth)).toBe(reference.access(address, size as AccessWidth, null));
        } else if (what === "write") {
          bus.write(address, size as AccessWidth, 0xfedc_ba98);
          reference.access(address, size as AccessWidth, 0xfedc_ba98);
        }
      });
      expect(log).toEqual(reference.log);
      expect([bus.unclaimed, bus.errors, thrown.length]).toEqual([
        reference.unclaimed,
        reference.errors,
        reference.errors,
      ]);
      expect(pools[0].reserved + pools[1].reserved).toBe(promised.length);
    }),
    propertyOptions(300),
  );
});
