/**
 * Backends that carry frames to other processes. They need Node.js.
 *
 * @module
 */

export {
  connectStream,
  listenStream,
  type StreamBackend,
  type StreamClientOptions,
  type StreamCounters,
  type StreamOptions,
} from "./stream/backend.ts";
export * from "./stream/error.ts";
export type { StreamAddress } from "./stream/sockets.ts";
