/** The split virtqueue (VIRTIO 1.4, 2.7), written and read field by field. */
import { type Chain, type Flaw, type Piece, Ring, type Used } from "./ring.ts";
import { addBuffer, addTable, INDIRECT, NEXT, splitDescriptor, WRITE } from "./walk.ts";

const FAR = 0xfff0_0000;

export class SplitRing extends Ring {
  #available = 0;
  #scanned = 0;
  #used = 0;
  /** Descriptors of chains that are not used yet. */
  readonly #taken = new Map<number, number[]>();

  room(pieces: number): boolean {
    return !this.spoiled && this.#free().length >= pieces;
  }

  offer(pieces: readonly Piece[], table: number | null, flaw: Flaw, random: (below: number) => number): void {
    const { arena, areas } = this;
    const free = this.#free();
    const indices = pieces
      .slice(0, table === null ? pieces.length : 1)
      .map(() => free.splice(random(free.length), 1)[0]);
    const [head] = indices;
    if (table === null) {
      pieces.forEach((piece, i) => {
        this.#put(areas.descriptor + 16 * indices[i], piece, indices[i + 1]);
      });
    } else {
      pieces.forEach((piece, i) => {
        this.#put(table + 16 * i, piece, i + 1 < pieces.length ? i + 1 : undefined);
      });
      this.#put(
        areas.descriptor + 16 * head,
        { address: table, length: 16 * pieces.length, writable: false },
        undefined,
      );
      arena.write16(areas.descriptor + 16 * head + 12, INDIRECT | (random(2) * WRITE));
    }
    this.#spoil(head, indices[indices.length - 1], flaw);
    this.spoiled = flaw !== "none";
    this.#taken.set(head, indices);
    const entry = flaw === "head out of range" ? areas.size + random(0x1_0000 - areas.size) : head;
    arena.write16(areas.driver + 4 + 2 * (this.#available % areas.size), entry);
    this.#available += flaw === "index ahead" ? areas.size + 1 + random(0x7fff) : 1;
    arena.write16(areas.driver + 2, this.#available);
  }

  suppress(random: (below: number) => number): void {
    const { arena, areas } = this;
    if (this.features.eventIdx) arena.write16(areas.driver + 4 + 2 * areas.size, this.#used + random(4));
    else arena.write16(areas.driver, random(2));
  }

  scan(): void {
    const { arena, areas } = this;
    const ahead = (arena.read16(areas.driver + 2) - this.#scanned) & 0xffff;
    if (ahead > areas.size - this.outstanding.length) this.broken = true;
    for (let i = 0; i < ahead && !this.broken; i++) {
      const chain = this.#chainAt(arena.read16(areas.driver + 4 + 2 * (this.#scanned % areas.size)));
      if (chain === null) this.broken = true;
      else this.outstanding.push(chain);
      this.#scanned = (this.#scanned + 1) & 0xffff;
    }
  }

  settle(): Used[] {
    const { arena, areas } = this;
    const index = arena.read16(areas.device + 2);
    const settled: Used[] = [];
    while (this.#used !== index) {
      const at = areas.device + 4 + 8 * (this.#used % areas.size);
      const taken = this.take(arena.read32(at), arena.read32(at + 4));
      settled.push(...taken);
      this.#used = (this.#used + taken.length) & 0xffff;
    }
    for (const { chain } of settled) this.#taken.delete(chain.id);
    return settled;
  }

  get deviceRanges() {
    const { device, size } = this.areas;
    const elements = this.outstanding.map((_, i) => {
      const start = device + 4 + 8 * ((this.#used + i) % size);
      return { start, end: start + 8 };
    });
    const event = device + 4 + 8 * size;
    const events = this.features.eventIdx ? [{ start: event, end: event + 2 }] : [];
    return [{ start: device, end: device + 4 }, ...elements, ...events];
  }

  #free(): number[] {
    const taken = new Set([...this.#taken.values()].flat());
    return Array.from({ length: this.areas.size }, (_, i) => i).filter((i) => !taken.has(i));
  }

  #put(at: number, { address, length, writable }: Piece, next: number | undefined): void {
    const { arena } = this;
    arena.write32(at, address);
    arena.write32(at + 4, Math.floor(address / 2 ** 32));
    arena.write32(at + 8, length);
    arena.write16(at + 12, (writable ? WRITE : 0) | (next === undefined ? 0 : NEXT));
    arena.write16(at + 14, next ?? 0);
  }

  #spoil(head: number, last: number, flaw: Flaw): void {
    const { arena, areas } = this;
    const lastAt = areas.descriptor + 16 * last;
    const flags = arena.read16(lastAt + 12);
    if (flaw === "loop" || flaw === "too long" || flaw === "next out of range") {
      arena.write16(lastAt + 12, (flags & ~INDIRECT) | NEXT);
      arena.write16(lastAt + 14, flaw === "next out of range" ? areas.size : head);
    } else if (flaw === "address out of range") {
      arena.write32(lastAt, FAR);
      arena.write32(lastAt + 8, 64);
    } else if (flaw === "table") {
      arena.write16(lastAt + 12, flags | INDIRECT);
      arena.write32(lastAt + 8, 24);
    }
  }

  #chainAt(head: number): Chain | null {
    const { arena, areas } = this;
    const chain: Chain = { id: head, entries: 1, readable: [], writable: [], sent: false };
    for (let index = head, seen = 0; seen < areas.size; seen++) {
      if (index >= areas.size) return null;
      const descriptor = splitDescriptor(arena, areas.descriptor + 16 * index);
      if ((descriptor.flags & INDIRECT) !== 0) {
        if (!this.features.indirect || (descriptor.flags & NEXT) !== 0) return null;
        return addTable(arena, descriptor, false, chain) ? chain : null;
      }
      if (!addBuffer(arena, descriptor, chain)) return null;
      if ((descriptor.flags & NEXT) === 0) return chain;
      index = descriptor.last;
    }
    return null;
  }
}
