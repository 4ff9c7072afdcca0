/**
 * For benchmarks and tests of other packages: a NIC with a fast driver, and the NIC driver for any NIC.
 * @module
 */

export * from "./direct-transport.ts";
export * from "./driver-rig.ts";
export * from "./fast-ring.ts";
export * from "./nic-rig.ts";
export * from "./nic-rings.ts";
