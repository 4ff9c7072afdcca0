/**
 * A load: the same work by the code that ships and by its peer, and how long a step of it takes.
 *
 * @module
 */

/** One load, a row of a benchmark. */
export interface Load {
  readonly name: string;
  /** Chains or frames that one step handles. */
  readonly count: number;
  /** Descriptors that one step handles. */
  readonly descriptors: number;
  /** Prepares our side. @returns the step, to be run again and again */
  readonly prepare: () => Step | Promise<Step>;
  /** Prepares the peer's side. */
  readonly preparePeer: () => Step;
  readonly peerName: "flat loop" | "one region";
  /** The most that the ratio of the two may be, where a goal is set. */
  readonly target?: number | undefined;
}

/** Does the work of a load once. */
export type Step = () => void;

/** Takes the best of many short samples of a step, for the interruptions of a busy machine only ever add. @returns ns */
export function measureStep(step: Step, descriptors: number, samples: number = 200): number {
  const steps = Math.max(4, Math.ceil(40_000 / descriptors));
  let best = Number.POSITIVE_INFINITY;
  for (let sample = 0; sample < samples; sample++) {
    const start = performance.now();
    for (let i = 0; i < steps; i++) step();
    best = Math.min(best, performance.now() - start);
  }
  return (best * 1e6) / steps;
}
