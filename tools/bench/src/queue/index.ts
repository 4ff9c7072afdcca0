/**
 * `pnpm bench queue`: what taking and giving back descriptor chains costs by the fully checked code that ships, beside a
 * loop that checks nothing; over many regions, beside the same over one.
 *
 * Each measurement is a process of its own, for what V8 has seen of one load slows the next. Of several the least counts.
 * @module
 */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { type Bench, COMPARISON_COLUMNS, type Comparison, compared } from "../bench.ts";
import { type QueueLoad, queueLoads } from "./loads.ts";

const PROCESSES = 3;
const run = promisify(execFile);
const SAMPLE = fileURLToPath(new URL("sample-main.js", import.meta.url));

/** The benchmark. */
export const queueBench: Bench = {
  name: "queue",
  description: "virtqueues beside a loop that checks nothing, ns a chain, least of several processes",
  columns: COMPARISON_COLUMNS,
  async run(progress, only) {
    const rows: Comparison[] = [];
    for (const load of queueLoads().filter(({ name }) => only === undefined || name.includes(only))) {
      progress(load.name);
      rows.push(await measure(load));
    }
    return rows;
  },
};

async function measure(load: QueueLoad): Promise<Comparison> {
  const sides = { ours: Number.POSITIVE_INFINITY, peer: Number.POSITIVE_INFINITY };
  for (let i = 0; i < PROCESSES; i++) {
    for (const side of ["ours", "peer"] as const) {
      const { stdout } = await run(process.execPath, [SAMPLE, load.name, side]);
      sides[side] = Math.min(sides[side], Number(stdout) / load.chains);
    }
  }
  const { name, target, peerName } = load;
  return compared({
    name,
    unit: "ns/chain",
    ours: sides.ours,
    peer: sides.peer,
    peerName,
    atMost: target,
  });
}
