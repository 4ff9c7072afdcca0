/**
 * How much a steady state allocates, for the tests and benchmarks of everything that handles buffers.
 * @module
 */

/** The host's heap, as far as a measurement needs it. */
export interface Heap {
  /** Collects garbage: `globalThis.gc` of a Node started with `--expose-gc`. */
  collect(): void;
  /** Bytes in use now. */
  used(): number;
}

/** Tries until the compiler, which works beside us and is late on a busy machine, is done with all of it. */
const TRIES = 40;

/**
 * Runs something until it is warm, then twice more, and tells by how many bytes the heap grew in each of the two.
 * Nothing is collected in between, so garbage counts as well; what reading the heap allocates itself is part of it.
 * @param run does the work `times` times
 * @returns bytes of the first and the second run
 */
export function heapGrowth(run: (times: number) => void, heap: Heap, times = 10_000): readonly [number, number] {
  for (let i = 0; i < 5; i++) run(times);
  heap.used();
  heap.collect();
  const start = heap.used();
  run(times);
  const middle = heap.used();
  run(times);
  return [middle - start, heap.used() - middle];
}

/**
 * Bytes of two runs in succession, of the best of as many tries as it takes to get below a bound: what allocates each
 * time never does. A heap that shrank was collected in between, so that try says nothing.
 * @param run does the work `times` times
 * @param bound bytes, below what 10,000 of the smallest objects take
 */
export function leastGrowth(run: (times: number) => void, heap: Heap, bound: number): number {
  let least = Number.POSITIVE_INFINITY;
  for (let i = 0; i < TRIES && least >= bound; i++) {
    const [first, second] = heapGrowth(run, heap);
    if (first >= 0 && second >= 0) least = Math.min(least, first + second);
  }
  return least;
}
