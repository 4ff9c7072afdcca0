/**
 * The driver trait that every transport's driver half implements, and the driver library over it
 * (VIRTIO 1.4, chapter 3).
 * @module
 */

export * from "./device-config.ts";
export * from "./driver-device.ts";
export * from "./errors.ts";
export * from "./features.ts";
export * from "./finder.ts";
export { DmaPool } from "./host/dma-pool.ts";
export { FreeList } from "./host/free-list.ts";
export { LineTable } from "./host/line-table.ts";
export { MessageTable } from "./host/message-table.ts";
export * from "./host/process-host.ts";
export * from "./host.ts";
export type { QueueOptions } from "./queue-setup.ts";
export * from "./request-queue.ts";
export * from "./transport.ts";
export type { UsedRequest, Virtqueue } from "./virtqueue.ts";
export * from "./wait.ts";
