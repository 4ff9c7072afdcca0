/**
 * The part of the package that needs Node.js.
 *
 * @module
 */

export { type NodeHostOptions, nodeHostSockets } from "./host-sockets.ts";
