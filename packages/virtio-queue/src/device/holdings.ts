/**
 * What a device's half holds, as a snapshot lists it.
 * @module
 */

import type { OutstandingChain } from "../state.ts";
import { MARK_FREE, MARK_STAGED, MARK_TAKEN } from "./marks.ts";

/** What both formats keep of the chains that were taken and not published. */
export interface Holdings {
  /** What became of each head or id. */
  readonly marks: Uint16Array;
  /** Heads in the order they were taken: a ring. */
  readonly order: Uint16Array;
  /** Ring entries of each id; `null` where each chain takes one. */
  readonly descriptors: Uint16Array | null;
  /** In order: bytes of each one's writable part, and bytes written. */
  readonly writable: Float64Array;
  readonly written: Uint32Array;
  /** Pushed and not published, id and length by turns, when not in order. */
  readonly staged: Uint32Array;
  readonly stagedCount: number;
  readonly inOrder: boolean;
}

/**
 * Lists what is held: in the order it was taken, or, where chains are used in any order, what was given back first.
 * @param next where the next chain taken goes in `order`
 * @param known how many of the last chains taken `order` knows
 */
export function listHoldings(
  holdings: Holdings,
  next: number,
  known: number,
): { outstanding: OutstandingChain[]; rewindable: number } {
  const { marks, order } = holdings;
  const size = order.length;
  const taken: number[] = [];
  const seen = new Set<number>();
  let rewindable = 0;
  // From the chain taken last backwards; a head met twice was given back and taken again in between.
  for (let i = 0; i < known; i++) {
    const head = order[(next - 1 - i + size) % size];
    if (marks[head] === MARK_FREE || seen.has(head)) continue;
    if (rewindable === i && marks[head] === MARK_TAKEN) rewindable++;
    seen.add(head);
    taken.push(head);
  }
  for (let head = 0; head < size; head++) if (marks[head] !== MARK_FREE && !seen.has(head)) taken.push(head);
  taken.reverse();
  const heads = holdings.inOrder ? taken : stagedFirst(holdings, taken);
  return { outstanding: heads.map((head) => describe(holdings, head)), rewindable };
}

function stagedFirst({ marks, staged, stagedCount }: Holdings, taken: number[]): number[] {
  const given = Array.from({ length: stagedCount }, (_, i) => staged[2 * i]);
  return [...given, ...taken.filter((head) => marks[head] === MARK_TAKEN)];
}

function describe(holdings: Holdings, head: number): OutstandingChain {
  return {
    head,
    descriptors: holdings.descriptors === null ? 1 : holdings.descriptors[head],
    writableBytes: holdings.inOrder ? holdings.writable[head] : 0,
    written: holdings.marks[head] === MARK_STAGED ? writtenOf(holdings, head) : null,
  };
}

function writtenOf({ inOrder, written, staged }: Holdings, head: number): number {
  if (inOrder) return written[head];
  let at = 0;
  while (staged[at] !== head) at += 2;
  return staged[at + 1];
}
