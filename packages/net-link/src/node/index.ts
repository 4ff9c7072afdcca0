/**
 * The part of the package that needs Node.js.
 *
 * @module
 */

export * from "./pcapng-file.ts";
