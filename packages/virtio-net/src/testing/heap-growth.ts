/**
 * How much a steady state allocates.
 * @module
 */

/** The host's heap, as far as a measurement needs it. */
export interface Heap {
  /** Collects garbage: `globalThis.gc` of a Node started with `--expose-gc`. */
  collect(): void;
  /** Bytes in use now. */
  used(): number;
}

/**
 * Runs something until it is warm, then twice more, and tells by how many bytes the heap grew in each of the two.
 * Nothing is collected in between, so garbage counts as well; what reading the heap allocates itself is part of it.
 * @param run does the work `packets` times
 * @returns bytes of the first and the second run
 */
export function heapGrowth(run: (packets: number) => void, heap: Heap, packets = 10_000): readonly [number, number] {
  for (let i = 0; i < 5; i++) run(packets);
  heap.used();
  heap.collect();
  const start = heap.used();
  run(packets);
  const middle = heap.used();
  run(packets);
  return [middle - start, heap.used() - middle];
}
