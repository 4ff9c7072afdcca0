/**
 * Benchmarks, side by side with peers.
 *
 * @module
 */
export {};
