/**
 * The numbers and interfaces that both halves of L4-VIRTIO share: the config page, operations, commands, errors.
 * @module
 */

export * from "./commands.ts";
export * from "./config-page.ts";
export * from "./errors.ts";
export * from "./header.ts";
export * from "./objects.ts";
export * from "./queue-entry.ts";
