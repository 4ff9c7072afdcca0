/**
 * For benchmarks and tests of other packages: a NIC with a fast driver on it, and a measurement of what its
 * steady state allocates.
 * @module
 */

export * from "./fast-ring.ts";
export * from "./heap-growth.ts";
export * from "./nic-rig.ts";
