/**
 * Network frames and the links that carry them: ports, a switch, capture, software offloads.
 *
 * @module
 */

export * from "./capture/capture.ts";
export type { CaptureSink } from "./capture/pcapng.ts";
export * from "./frame/burst.ts";
export { ETHERNET_HEADER } from "./frame/ethernet.ts";
export * from "./frame/queue.ts";
export * from "./link/error.ts";
export * from "./link/handover.ts";
export * from "./link/link.ts";
export * from "./link/port.ts";
export { attempt, type OnError, reportToHost } from "./link/report.ts";
export * from "./offload/checksum.ts";
export * from "./offload/offload.ts";
export * from "./offload/software-offload.ts";
export * from "./switch/address-table.ts";
export * from "./switch/port.ts";
export * from "./switch/switch.ts";
