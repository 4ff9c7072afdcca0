/**
 * Measures one side of one load, in a process of its own: `node sample-main.js BENCH NAME ours|peer`
 * prints ns a step.
 * @module
 */
import { driverLoads } from "../driver/loads.ts";
import { netLoads } from "../net/loads.ts";
import { queueLoads } from "../queue/loads.ts";
import { type Load, measureStep } from "./load.ts";

const LOADS: Readonly<Record<string, () => readonly Load[]>> = {
  queue: queueLoads,
  driver: driverLoads,
  net: netLoads,
};

const [bench, name, side] = process.argv.slice(2);
const load = LOADS[bench]?.().find((candidate) => candidate.name === name);
if (load === undefined) throw new Error(`no load ${name} of ${bench}`);
const step = side === "peer" ? load.preparePeer() : await load.prepare();
console.log(measureStep(step, load.descriptors));
