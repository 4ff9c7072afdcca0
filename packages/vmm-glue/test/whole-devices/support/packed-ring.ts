/** The packed virtqueue (VIRTIO 1.4, 2.8), written and read field by field. */
import { type Chain, type Flaw, type Piece, Ring, type Used } from "./ring.ts";
import { addBuffer, addTable, INDIRECT, NEXT, packedDescriptor, WRITE } from "./walk.ts";

const AVAILABLE = 1 << 7;
const USED = 1 << 15;
const FAR = 0xfff0_0000;

/** A place in the ring, and the wrap counter there. */
class Position {
  at = 0;
  wrap = true;

  move(by: number, size: number): void {
    this.at += by;
    if (this.at < size) return;
    this.at -= size;
    this.wrap = !this.wrap;
  }
}

export class PackedRing extends Ring {
  readonly #next = new Position();
  readonly #scanned = new Position();
  readonly #used = new Position();
  readonly #entries = new Map<number, number>();

  room(pieces: number): boolean {
    const taken = [...this.#entries.values()].reduce((sum, count) => sum + count, 0);
    return !this.spoiled && this.areas.size - taken >= pieces;
  }

  offer(pieces: readonly Piece[], table: number | null, flaw: Flaw, random: (below: number) => number): void {
    const { areas, arena } = this;
    const ids = Array.from({ length: areas.size }, (_, i) => i).filter((i) => !this.#entries.has(i));
    const id = ids[random(ids.length)];
    const written = table === null ? pieces : [{ address: table, length: 16 * pieces.length, writable: false }];
    if (table !== null) {
      pieces.forEach((piece, i) => {
        this.#put(table + 16 * i, piece, 0, piece.writable ? WRITE : 0);
      });
    }
    const head = areas.descriptor + 16 * this.#next.at;
    let headFlags = 0;
    written.forEach((piece, i) => {
      const at = areas.descriptor + 16 * this.#next.at;
      const endless =
        i + 1 === written.length && (flaw === "loop" || flaw === "too long" || flaw === "next out of range");
      let flags = this.#next.wrap ? AVAILABLE : USED;
      if (piece.writable) flags |= WRITE;
      if (i + 1 < written.length || endless) flags |= NEXT;
      if (table !== null || (flaw === "table" && i + 1 === written.length)) flags |= INDIRECT;
      this.#put(at, piece, flaw === "head out of range" ? areas.size + random(0x1_0000 - areas.size) : id, 0);
      if (flaw === "table") arena.write32(at + 8, 24);
      if (flaw === "address out of range") {
        arena.write32(at, FAR);
        arena.write32(at + 8, 64);
      }
      if (i === 0) headFlags = flags;
      else arena.write16(at + 14, flags);
      this.#next.move(1, areas.size);
    });
    arena.write16(head + 14, headFlags); // last: with it the whole chain is available
    this.#entries.set(id, written.length);
    this.spoiled = flaw !== "none";
  }

  suppress(random: (below: number) => number): void {
    const { arena, areas } = this;
    arena.write16(areas.driver, random(areas.size) | (random(2) << 15));
    arena.write16(areas.driver + 2, random(this.features.eventIdx ? 3 : 2));
  }

  scan(): void {
    while (!this.broken && this.#isAvailable()) {
      const chain = this.#chain();
      if (chain === null) this.broken = true;
      else this.outstanding.push(chain);
    }
  }

  settle(): Used[] {
    const { arena, areas } = this;
    const settled: Used[] = [];
    for (;;) {
      const { last: id, flags, length } = packedDescriptor(arena, areas.descriptor + 16 * this.#used.at);
      const [avail, used] = [(flags & AVAILABLE) !== 0, (flags & USED) !== 0];
      if (avail !== used || used !== this.#used.wrap) break;
      const taken = this.take(id, (flags & WRITE) !== 0 ? length : 0);
      settled.push(...taken);
      const entries = taken.reduce((sum, { chain }) => sum + chain.entries, 0);
      this.#used.move(entries, areas.size);
    }
    for (const { chain } of settled) this.#entries.delete(chain.id);
    return settled;
  }

  get deviceRanges() {
    const { descriptor, device, size } = this.areas;
    const entries = this.outstanding.reduce((sum, chain) => sum + chain.entries, 0);
    const elements = Array.from({ length: entries }, (_, i) => {
      const start = descriptor + 16 * ((this.#used.at + i) % size);
      return { start: start + 8, end: start + 16 };
    });
    return [{ start: device, end: device + 4 }, ...elements];
  }

  #isAvailable(): boolean {
    const flags = this.arena.read16(this.areas.descriptor + 16 * this.#scanned.at + 14);
    return ((flags & AVAILABLE) !== 0) === this.#scanned.wrap && ((flags & USED) !== 0) !== this.#scanned.wrap;
  }

  #chain(): Chain | null {
    const { arena, areas } = this;
    const [readable, writable]: Chain["readable"][] = [[], []];
    for (let entries = 1; entries <= areas.size; entries++) {
      const descriptor = packedDescriptor(arena, areas.descriptor + 16 * this.#scanned.at);
      this.#scanned.move(1, areas.size);
      const indirect = (descriptor.flags & INDIRECT) !== 0;
      const more = (descriptor.flags & NEXT) !== 0;
      const offered = { readable, writable };
      if (indirect && (!this.features.indirect || more || !addTable(arena, descriptor, true, offered))) return null;
      if (!indirect && !addBuffer(arena, descriptor, offered)) return null;
      if (more) continue;
      return descriptor.last < areas.size ? { id: descriptor.last, entries, ...offered, sent: false } : null;
    }
    return null;
  }

  #put(at: number, { address, length }: Piece, id: number, flags: number): void {
    const { arena } = this;
    arena.write32(at, address);
    arena.write32(at + 4, Math.floor(address / 2 ** 32));
    arena.write32(at + 8, length);
    arena.write16(at + 12, id);
    if (flags !== 0) arena.write16(at + 14, flags);
    else if (at >= this.areas.descriptor && at < this.areas.descriptor + 16 * this.areas.size) return;
    else arena.write16(at + 14, 0);
  }
}
