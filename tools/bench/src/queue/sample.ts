/**
 * Measures one load, or the flat loop beside it, in a process of its own: `node sample.js NAME ours|flat` prints ns a step.
 * @module
 */
import { measureStep, queueLoads } from "./loads.ts";

const [name, side] = process.argv.slice(2);
const load = queueLoads().find((candidate) => candidate.name === name);
if (load === undefined) throw new Error(`no load ${name}`);
const step = side === "flat" ? load.prepareFlat() : load.prepare();
console.log(measureStep(step, load.descriptors));
