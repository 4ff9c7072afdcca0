/**
 * What both halves of the network device share: feature bits, configuration space, the frame header.
 * @module
 */

export * from "./config.ts";
export * from "./features.ts";
export * from "./header.ts";
