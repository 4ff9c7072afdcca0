/**
 * What both halves of the L4-VIRTIO transport share: the config page to the byte, operations, commands, errors.
 * @module
 */

export * from "./commands.ts";
export * from "./config-page.ts";
export * from "./errors.ts";
export * from "./header.ts";
export * from "./objects.ts";
export * from "./queue-entry.ts";
