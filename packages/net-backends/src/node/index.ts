/**
 * The part that needs Node.js.
 *
 * @module
 */

export { type NodeHostOptions, nodeHostSockets } from "./host-sockets.ts";
export * from "./pcapng-file.ts";
export {
  connectStream,
  listenStream,
  type StreamBackend,
  type StreamClientOptions,
  type StreamCounters,
  type StreamOptions,
} from "./stream/stream-backend.ts";
export * from "./stream/stream-error.ts";
export type { StreamAddress } from "./stream/stream-sockets.ts";
