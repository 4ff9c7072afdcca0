/**
 * `pnpm bench queue`: what taking and giving back descriptor chains costs by the fully checked code that ships, beside a
 * loop that checks nothing; over many regions, beside the same over one.
 *
 * @module
 */
import { type Bench, measureRows } from "../bench.ts";
import { plansOf } from "../loads/plans.ts";
import { queueLoads } from "./loads.ts";

/** The benchmark. */
export const queueBench: Bench = {
  name: "queue",
  description: "virtqueues beside a loop that checks nothing, ns a chain, least of several processes",
  run: (progress, only) => measureRows(plansOf("queue", "chain", queueLoads()), progress, only),
};
