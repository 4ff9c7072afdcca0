/**
 * Measures one load, or what it is measured against, in a process of its own: `node sample-main.js NAME ours|peer` prints ns a step.
 * @module
 */
import { measureStep, queueLoads } from "./loads.ts";

const [name, side] = process.argv.slice(2);
const load = queueLoads().find((candidate) => candidate.name === name);
if (load === undefined) throw new Error(`no load ${name}`);
const step = side === "peer" ? load.preparePeer() : load.prepare();
console.log(measureStep(step, load.descriptors));
