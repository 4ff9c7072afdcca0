/**
 * For benchmarks and tests of other packages: a NIC with a fast driver on it, and the NIC driver on whatever NIC.
 * @module
 */

export * from "./direct-transport.ts";
export * from "./driver-rig.ts";
export * from "./fast-ring.ts";
export * from "./nic-rig.ts";
