/**
 * `pnpm bench v86`: our NIC beside v86's own in one guest, rounds interleaved; the last round counts, for by then
 * the emulator has compiled what it runs. The last round has several passes, whose median is reported: a single one
 * is off by a third now and then, whoever's it is.
 *
 * @module
 */
import { type Bench, measureRows, once, type Plan, type Progress, round3 } from "../bench.ts";
import { type Bed, makeBed } from "./bed.ts";
import { JOBS, type Job } from "./jobs.ts";

/** Rounds that only warm up. */
const WARM_UP = 3;
/** Passes of the round that counts. */
const PASSES = 5;

/** The benchmark. */
export const v86Bench: Bench = {
  name: "v86",
  description: "our NIC beside v86's built-in virtio-net in one guest, ratios",
  async run(progress, only) {
    let made: Bed | undefined;
    const bed = once(async () => {
      made = await makeBed(progress);
      return made;
    });
    const plans = JOBS.flatMap((job) => plansOf(job, bed, progress));
    try {
      return await measureRows(plans, progress, only);
    } finally {
      await made?.close();
    }
  },
};

function plansOf(job: Job, bed: () => Promise<Bed>, progress: Progress): readonly Plan[] {
  const medians = once(async () => contest(await bed(), job, progress));
  return ["full", "equal"].map((features) => ({
    name: `${job.name}, ${features}`,
    unit: job.unit,
    peerName: "v86's virtio-net",
    measure: async () => {
      const median = await medians();
      return { ours: median(features), peer: median("builtin") };
    },
  }));
}

/** @returns the median of each contestant */
async function contest(bed: Bed, job: Job, progress: Progress): Promise<(contestant: string) => number> {
  const passes = new Map<string, number[]>(bed.contestants.map(({ name }) => [name, []]));
  for (let pass = 0; pass < WARM_UP + PASSES; pass++) {
    const counts = pass >= WARM_UP;
    const said: string[] = [];
    for (let turn = 0; turn < bed.contestants.length; turn++) {
      // Whoever is first in one pass is last in the next.
      const nic = bed.contestants[(turn + pass) % bed.contestants.length];
      const value = await job.run(bed.guest, nic);
      said.push(`${nic.name} ${round3(value)}`);
      if (counts) passes.get(nic.name)?.push(value);
    }
    progress(
      `${job.name}, ${counts ? `pass ${pass - WARM_UP + 1}` : "warm-up"}, ${job.unit}: ${said.sort().join(", ")}`,
    );
  }
  return (contestant) => median(passes.get(contestant) ?? []);
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
}
