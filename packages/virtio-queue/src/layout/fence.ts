/**
 * A barrier between loads, for both halves of a packed ring.
 * @module
 */

const word = new Int32Array(1);

/**
 * Orders every load before it ahead of every load after it. Plain loads are not ordered among each other, nor before an
 * atomic load that follows: a plain load of flags that says "yours" proves nothing about a plain load behind it.
 */
export function fenceLoads(): void {
  Atomics.store(word, 0, 0);
  Atomics.load(word, 0);
}
