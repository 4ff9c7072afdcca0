/**
 * L4-VIRTIO between threads, in a browser or in Node: dataspaces are shared memory, IPC is a message port, IRQ objects
 * are wake-ups. The device is in one thread, its driver in another.
 * @module
 */

export { type L4Port, sharedPage } from "./port.ts";
export * from "./port-ipc.ts";
export * from "./serve.ts";
