/**
 * Trace of a user-mode network: one function, called at rare events, that tells why something ended or failed. Without
 * a trace function no event is built.
 * @module
 */

import type { UserNetworkTable } from "./counters.ts";
import type { UserNetworkError } from "./errors.ts";

/** Something that happened in a network. */
export type UserNetworkEvent =
  /** An entry of a table ended: it was evicted (`full`), or idle for too long (`idle`). */
  | {
      readonly type: "entry-ended";
      readonly table: UserNetworkTable;
      readonly why: "full" | "idle";
      /** The entry: `10.0.2.15:50000 > 93.184.216.34:80` for a connection. */
      readonly entry: string;
    }
  /**
   * Code that is not the network's own failed: a callback of the options (`CALLBACK_FAILED`) or a method of the host's
   * sockets (`HOST_FAILED`). It is counted in `faults`, and the network continues.
   */
  | { readonly type: "fault"; readonly error: UserNetworkError };

/** Called with each event. Errors it throws are counted (`traceThrew`) and otherwise ignored. */
export type UserNetworkTrace = (event: UserNetworkEvent) => void;
