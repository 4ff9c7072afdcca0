/**
 * The network device: the device half of VIRTIO 1.4, chapter 5.1.
 * @module
 */

export * from "./counters.ts";
export * from "./errors.ts";
export * from "./net-device.ts";
export type { NetDeviceState } from "./saved-state.ts";
