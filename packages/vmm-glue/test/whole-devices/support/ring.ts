/**
 * One virtqueue in the guest's hands, and the oracle's account of it: what is available and not yet used, by the
 * standard's text alone.
 */
import type { Arena, Range } from "./arena.ts";
import type { Offered } from "./walk.ts";

/** A buffer to be offered. */
export interface Piece {
  readonly address: number;
  readonly length: number;
  readonly writable: boolean;
}

/** What is wrong with an offer, if anything. */
export type Flaw =
  | "none"
  | "loop"
  | "next out of range"
  | "address out of range"
  | "table"
  | "head out of range"
  | "index ahead"
  | "too long";

/** A chain that the device has. */
export interface Chain extends Offered {
  readonly id: number;
  /** Entries of the ring it takes, as the format counts them. */
  readonly entries: number;
  /** The device's frame of it was taken by whoever it was for. */
  sent: boolean;
}

/** A chain that came back. */
export interface Used {
  readonly chain: Chain;
  readonly length: number;
}

/** Where a queue is. */
export interface Areas {
  readonly size: number;
  readonly descriptor: number;
  readonly driver: number;
  readonly device: number;
}

/** What of the negotiated features a ring goes by. */
export interface RingFeatures {
  readonly packed: boolean;
  readonly indirect: boolean;
  readonly eventIdx: boolean;
  readonly inOrder: boolean;
}

export abstract class Ring {
  readonly arena: Arena;
  readonly areas: Areas;
  readonly features: RingFeatures;
  /** Available and not used, in the order they became available. */
  readonly outstanding: Chain[] = [];
  /** What is not well formed was met: nothing behind it is offered. */
  broken = false;
  /** The guest has offered what it should not: it offers nothing more. */
  spoiled = false;

  constructor(arena: Arena, areas: Areas, features: RingFeatures) {
    this.arena = arena;
    this.areas = areas;
    this.features = features;
  }

  /** Whether a chain of as many pieces can be offered. */
  abstract room(pieces: number): boolean;

  /** Makes a chain available. @param table where an indirect table may be, or `null` */
  abstract offer(pieces: readonly Piece[], table: number | null, flaw: Flaw, random: (below: number) => number): void;

  /** Says when it wants interrupts. */
  abstract suppress(random: (below: number) => number): void;

  /** Looks for what has become available since the last look. */
  abstract scan(): void;

  /** Looks for what has been used since the last look. @throws Error for what was not to be used */
  abstract settle(): Used[];

  /** Parts of the ring that the device may write now. */
  abstract get deviceRanges(): Range[];

  /** What the device may write now. */
  get writable(): Range[] {
    return [...this.deviceRanges, ...this.outstanding.flatMap(({ writable }) => writable)];
  }

  /** Takes the chains that used element `id` stands for: with IN_ORDER all up to it (2.7.9, 2.8.9). */
  protected take(id: number, length: number): Used[] {
    const at = this.outstanding.findIndex((chain) => chain.id === id);
    if (at < 0) throw new Error(`used element ${id}, ${length} bytes, is of no chain that is available`);
    const from = this.features.inOrder ? 0 : at;
    const taken = this.outstanding.splice(from, at - from + 1);
    return taken.map((chain, i) => ({ chain, length: i + 1 < taken.length ? writableOf(chain) : length }));
  }
}

export function writableOf({ writable }: Offered): number {
  return writable.reduce((sum, { start, end }) => sum + end - start, 0);
}
