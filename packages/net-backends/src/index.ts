/**
 * Where the frames of a network device go: user-mode network, switch, capture, sockets.
 *
 * @module
 */

export * from "./address-table.ts";
export * from "./capture.ts";
export * from "./checksum.ts";
export * from "./frame-burst.ts";
export * from "./frame-queue.ts";
export * from "./link.ts";
export * from "./link-error.ts";
export * from "./offload.ts";
export type { CaptureSink } from "./pcapng.ts";
export * from "./port.ts";
export type { OnError } from "./report.ts";
export * from "./software-offload.ts";
export * from "./switch.ts";
export * from "./switch-port.ts";
export * from "./user/index.ts";
