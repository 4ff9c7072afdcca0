/**
 * What a user-mode network tells whoever wants to know why something ended: one function, called at events that are
 * rare. Nothing is built for it where nobody listens.
 * @module
 */

import type { UserNetworkTable } from "./counters.ts";

/** Something that happened in a network. */
export type UserNetworkEvent =
  /** An entry of a table ended: it gave way to another (`full`), or nobody used it for too long (`idle`). */
  {
    readonly type: "entry-ended";
    readonly table: UserNetworkTable;
    readonly why: "full" | "idle";
    /** Which one: `10.0.2.15:50000 > 93.184.216.34:80` for a connection. */
    readonly entry: string;
  };

/** Gets what happens. What it throws is counted (`traceThrew`) and goes no further. */
export type UserNetworkTrace = (event: UserNetworkEvent) => void;
