/**
 * Which part of some work takes how much of its time: by samples of V8's profiler, each counted for the file it fell
 * into.
 *
 * @module
 */
import { type Profiler, Session } from "node:inspector";

/** Microseconds between samples. */
const INTERVAL = 200;

/**
 * Runs something under the profiler.
 *
 * @param run does the work
 * @param partOf the part that a source file belongs to, by its URL; undefined for one that does not count
 * @returns of the time that counts, the share of each part, in percent
 */
export async function cpuShare<Part extends string>(
  run: () => void,
  partOf: (url: string) => Part | undefined,
): Promise<ReadonlyMap<Part, number>> {
  const session = new Session();
  session.connect();
  const post = (method: string, params: object = {}): Promise<{ profile?: Profiler.Profile }> =>
    new Promise((resolve, reject) => {
      session.post(method, params, (error, result) => (error === null ? resolve(result ?? {}) : reject(error)));
    });
  try {
    await post("Profiler.enable");
    await post("Profiler.setSamplingInterval", { interval: INTERVAL });
    await post("Profiler.start");
    run();
    const { profile } = await post("Profiler.stop");
    return profile === undefined ? new Map() : shares(profile, partOf);
  } finally {
    session.disconnect();
  }
}

function shares<Part extends string>(
  { nodes, samples = [], timeDeltas = [] }: Profiler.Profile,
  partOf: (url: string) => Part | undefined,
): ReadonlyMap<Part, number> {
  const parts = new Map(nodes.map((node) => [node.id, partOf(node.callFrame.url)]));
  const times = new Map<Part, number>();
  let total = 0;
  for (const [i, id] of samples.entries()) {
    const part = parts.get(id);
    if (part === undefined) continue;
    const time = timeDeltas[i] ?? 0;
    times.set(part, (times.get(part) ?? 0) + time);
    total += time;
  }
  return new Map([...times].map(([part, time]) => [part, (100 * time) / total]));
}
