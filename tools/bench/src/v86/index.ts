/**
 * `pnpm bench v86`: our NIC beside v86's own in one guest, rounds interleaved; the last round counts, for by then
 * the emulator has compiled what it runs.
 *
 * @module
 */
import type { Bench, Row } from "../bench.ts";
import { type Bed, makeBed } from "./bed.ts";
import { JOBS, type Job } from "./jobs.ts";

const ROUNDS = 3;

/** The benchmark. */
export const v86Bench: Bench = {
  name: "v86",
  description: "our NIC beside v86's built-in virtio-net in one guest, ratios",
  columns: ["job", "features", "ours", "peer", "unit", "ratio"],
  async run(progress, only): Promise<Row[]> {
    const bed = await makeBed(progress);
    try {
      const rows: Row[] = [];
      for (const job of JOBS.filter(({ name }) => only === undefined || name.includes(only))) {
        rows.push(...(await contest(bed, job, progress)));
      }
      return rows;
    } finally {
      await bed.close();
    }
  },
};

async function contest(bed: Bed, job: Job, progress: (message: string) => void): Promise<Row[]> {
  const last = new Map<string, number>();
  for (let round = 1; round <= ROUNDS; round++) {
    for (const nic of bed.contestants) {
      const value = await job.run(bed.guest, nic);
      last.set(nic.name, value);
      progress(`${job.name}, round ${round} of ${ROUNDS}, ${nic.name}: ${round3(value)} ${job.unit}`);
    }
  }
  const peer = last.get("builtin") ?? Number.NaN;
  return (["full", "equal"] as const).map((features) => {
    const ours = last.get(features) ?? Number.NaN;
    return {
      job: job.name,
      features,
      ours: round3(ours),
      peer: round3(peer),
      unit: job.unit,
      ratio: round3(ours / peer),
    };
  });
}

/** Three significant digits. */
function round3(value: number): number {
  return Number(value.toPrecision(3));
}
