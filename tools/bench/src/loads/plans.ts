/**
 * Loads as rows of a benchmark.
 *
 * @module
 */
import type { Plan } from "../bench.ts";
import { leastOf, numberFrom } from "../in-process.ts";
import type { Load } from "./load.ts";

const SAMPLE = new URL("sample-main.js", import.meta.url);

/** The rows of a benchmark that has loads, in ns by `each` chain or frame. */
export function plansOf(bench: string, each: "chain" | "frame", loads: readonly Load[]): Plan[] {
  return loads.map(({ name, count, peerName, target }) => {
    const sample = async (side: string): Promise<number> => (await numberFrom(SAMPLE, [bench, name, side])) / count;
    return {
      name,
      unit: `ns/${each}`,
      peerName,
      atMost: target,
      measure: () => leastOf({ ours: () => sample("ours"), peer: () => sample("peer") }),
    };
  });
}
