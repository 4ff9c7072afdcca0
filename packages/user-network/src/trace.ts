/**
 * What a user-mode network tells whoever wants to know why something ended or failed: one function, called at events that are
 * rare. Nothing is built for it where nobody listens.
 * @module
 */

import type { UserNetworkTable } from "./counters.ts";
import type { UserNetworkError } from "./errors.ts";

/** Something that happened in a network. */
export type UserNetworkEvent =
  /** An entry of a table ended: it gave way to another (`full`), or nobody used it for too long (`idle`). */
  | {
      readonly type: "entry-ended";
      readonly table: UserNetworkTable;
      readonly why: "full" | "idle";
      /** Which one: `10.0.2.15:50000 > 93.184.216.34:80` for a connection. */
      readonly entry: string;
    }
  /**
   * Code that is not the network's own failed: a callback of the options (`CALLBACK_FAILED`) or a method of the host's
   * sockets (`HOST_FAILED`). It is counted in `faults`, and the network goes on.
   */
  | { readonly type: "fault"; readonly error: UserNetworkError };

/** Gets what happens. What it throws is counted (`traceThrew`) and goes no further. */
export type UserNetworkTrace = (event: UserNetworkEvent) => void;
