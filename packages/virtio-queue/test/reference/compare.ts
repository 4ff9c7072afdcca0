/**
 * How a history says that the code and a reference differ.
 * @module
 */

import type { ChainBurst } from "@virtio-ts/virtio-queue";
import { type Chain, writableBytes } from "./naive-device.ts";
import type { PlainMemory } from "./plain-memory.ts";

/** The code does not do what the reference says. */
export class Disagreement extends Error {
  override readonly name = "Disagreement";
}

/** @throws Disagreement where the code's value is not the reference's */
export function same(what: string, found: unknown, expected: unknown): void {
  if (found === expected) return;
  const [a, b] = [found, expected].map((value) => JSON.stringify(value));
  if (a !== b || a === undefined) throw new Disagreement(`${what}: ${a ?? String(found)}, expected ${b}`);
}

/** What a burst says of its chains, segment by segment. */
export function compareBurst(memory: PlainMemory, burst: ChainBurst, chains: readonly Chain[]): void {
  same("burst.count", burst.count, chains.length);
  same("burst.first[0]", burst.first[0], 0);
  let segment = 0;
  chains.forEach(({ head, elements }, i) => {
    same(`head of chain ${i}`, burst.heads[i], head);
    let writable = -1;
    for (const element of elements) {
      if (element.writable && writable < 0) writable = segment;
      for (const piece of memory.pieces(element.address, element.length) ?? []) {
        same(`region of segment ${segment}`, burst.regions[segment], piece.region);
        same(`offset of segment ${segment}`, burst.offsets[segment], piece.offset);
        same(`length of segment ${segment}`, burst.lengths[segment], piece.length);
        segment++;
      }
    }
    same(`first segment behind chain ${i}`, burst.first[i + 1], segment);
    same(`first writable segment of chain ${i}`, burst.writable[i], writable < 0 ? segment : writable);
    const bytes = writableBytes({ elements });
    same(`writable bytes of chain ${i}`, burst.writableBytes[i], bytes);
    const all = elements.reduce((sum, { length }) => sum + length, 0);
    same(`readable bytes of chain ${i}`, burst.readableBytes[i], all - bytes);
  });
}
