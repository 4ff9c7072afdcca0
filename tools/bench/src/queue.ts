/**
 * `pnpm bench queue`: what taking and giving back descriptor chains costs, by the fully checked code that ships.
 *
 * @module
 */
import { measureLoad, queueLoads } from "@virtio-ts/virtio-queue/testing";
import type { Bench, Row } from "./bench.ts";

/** The benchmark. */
export const queueBench: Bench = {
  name: "queue",
  description: "virtqueues, ns per chain and per descriptor, best of many samples",
  columns: ["name", "nsPerChain", "nsPerDescriptor"],
  run(progress, only): Promise<Row[]> {
    const rows = queueLoads()
      .filter(({ name }) => only === undefined || name.includes(only))
      .map((load) => {
        progress(load.name);
        const { name, nsPerChain, nsPerDescriptor } = measureLoad(load, () => performance.now());
        return { name, nsPerChain: round(nsPerChain), nsPerDescriptor: round(nsPerDescriptor) };
      });
    return Promise.resolve(rows);
  },
};

function round(ns: number): number {
  return Math.round(ns * 100) / 100;
}
