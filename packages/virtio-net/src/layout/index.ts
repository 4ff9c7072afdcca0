/**
 * Definitions for both halves of the network device: feature bits, configuration space, the frame header, control
 * commands.
 * @module
 */

export * from "./config.ts";
export * from "./control.ts";
export * from "./feature-needs.ts";
export * from "./features.ts";
export * from "./frame-length.ts";
export * from "./header.ts";
export * from "./offloads.ts";
export * from "./queues.ts";
