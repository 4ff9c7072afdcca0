/**
 * Watches the atomic accesses of a step: what was in memory when each was made.
 * @module
 */

import { vi } from "vitest";

/** One atomic access: byte offset in the view's buffer, and what a snapshot function saw just before. */
export interface Access<T> {
  readonly op: "load" | "store";
  readonly offset: number;
  readonly value: number;
  readonly seen: T;
}

/** Runs `act` and lists its atomic accesses, each with what `look` saw at that moment. */
export function watchAtomics<T>(act: () => void, look: () => T): Access<T>[] {
  const accesses: Access<T>[] = [];
  const { load, store } = Atomics;
  const note = (op: "load" | "store", view: Uint16Array | Uint32Array, index: number, value: number): void => {
    accesses.push({ op, offset: view.byteOffset + index * view.BYTES_PER_ELEMENT, value, seen: look() });
  };
  const spies = [
    vi.spyOn(Atomics, "load").mockImplementation(((view: Uint16Array, index: number): number => {
      const value = load(view, index);
      note("load", view, index, value);
      return value;
    }) as never),
    vi.spyOn(Atomics, "store").mockImplementation(((view: Uint16Array, index: number, value: number): number => {
      note("store", view, index, value);
      return store(view, index, value);
    }) as never),
  ];
  try {
    act();
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
  return accesses;
}
