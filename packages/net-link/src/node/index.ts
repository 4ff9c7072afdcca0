/**
 * The part that needs Node.js.
 *
 * @module
 */

export * from "./pcapng-file.ts";
