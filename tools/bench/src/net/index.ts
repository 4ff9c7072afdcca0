/**
 * `pnpm bench net`: the NIC alone, beside a loop that does the same and checks nothing.
 *
 * @module
 */
import { type Bench, measureRows } from "../bench.ts";
import { plansOf } from "../loads/plans.ts";
import { netLoads } from "./loads.ts";

/** The benchmark. */
export const netBench: Bench = {
  name: "net",
  description: "NIC, state machine and queues beside a loop that checks nothing, ns a frame",
  run: (progress, only) => measureRows(plansOf("net", "frame", netLoads()), progress, only),
};
