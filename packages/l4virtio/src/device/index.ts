/**
 * The device half of the L4-VIRTIO transport. For code that serves devices to drivers of L4Re, or to another thread.
 * @module
 */

export * from "./dataspaces.ts";
export * from "./direct-ipc.ts";
export * from "./l4-virtio-device.ts";
export * from "./options.ts";
export type { L4VirtioState } from "./saved-state.ts";
