/**
 * For benchmarks and tests of other packages: a NIC with a fast driver on it, the NIC driver on whatever NIC, and a
 * measurement of what a steady state allocates.
 * @module
 */

export * from "./direct-transport.ts";
export * from "./driver-rig.ts";
export * from "./fast-ring.ts";
export * from "./heap-growth.ts";
export * from "./nic-rig.ts";
