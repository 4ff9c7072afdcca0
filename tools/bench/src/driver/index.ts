/**
 * `pnpm bench driver`: the NIC driver on the NIC, in one process and with no bus between them, beside a loop that does the
 * same and checks nothing.
 *
 * @module
 */
import { type Bench, measureRows } from "../bench.ts";
import { plansOf } from "../loads/plans.ts";
import { driverLoads } from "./loads.ts";

/** The benchmark. */
export const driverBench: Bench = {
  name: "driver",
  description: "NIC driver on NIC beside a loop that checks nothing, ns a frame that goes out and comes in again",
  run: (progress, only) => measureRows(plansOf("driver", "frame", driverLoads()), progress, only),
};
