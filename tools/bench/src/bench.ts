/**
 * A benchmark: rows that compare ours with a peer or a limit, and reports of progress.
 *
 * @module
 */

/** One benchmark, a subcommand of `pnpm bench`. */
export interface Bench {
  readonly name: string;
  /** One line for `--help`. */
  readonly description: string;
  /**
   * @param progress told what is being done
   * @param only measure only rows that have this in their name
   */
  run(progress: Progress, only?: string): Promise<readonly Row[]>;
}

/** Told what is being done. */
export type Progress = (message: string) => void;

/** A row that is to be measured. */
export interface Plan {
  readonly name: string;
  readonly unit: string;
  readonly peerName: string;
  /** The most that the ratio may be, where a goal is set. */
  readonly atMost?: number | undefined;
  /** @throws anything: then the row could not be measured, and the message says why */
  measure(): Promise<Figures>;
}

/** Two measurements of the same run, in the row's unit. */
export interface Figures {
  readonly ours: number;
  readonly peer: number;
}

/** A row, measured or not. */
export interface Row {
  readonly name: string;
  readonly unit: string;
  /** `null`, as `peer` and `ratio` are, where it could not be measured. */
  readonly ours: number | null;
  readonly peer: number | null;
  readonly peerName: string;
  /** Ours to the peer's. */
  readonly ratio: number | null;
  /** The most that the ratio may be; `null` where no goal is set. */
  readonly target: number | null;
  /** Whether it is that; `null` where no goal is set, `false` where it could not be measured. */
  readonly met: boolean | null;
  /** Why it could not be measured. */
  readonly why?: string;
}

/** Measures rows one after the other. One that cannot be measured says why, and the others go on. */
export async function measureRows(plans: readonly Plan[], progress: Progress, only = ""): Promise<Row[]> {
  const rows: Row[] = [];
  for (const plan of plans.filter(({ name }) => name.includes(only))) {
    progress(plan.name);
    rows.push(await measureRow(plan));
  }
  return rows;
}

async function measureRow(plan: Plan): Promise<Row> {
  const { name, unit, peerName, atMost } = plan;
  const target = atMost ?? null;
  try {
    const { ours, peer } = await plan.measure();
    const ratio = ours / peer;
    // A difference of two times may be negative on a busy machine.
    if (!Number.isFinite(ratio) || ratio < 0) throw new Error(`measured ${ours} beside ${peer}: no ratio`);
    const met = target === null ? null : ratio <= target;
    return { name, unit, ours: round3(ours), peer: round3(peer), peerName, ratio: round3(ratio), target, met };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return { name, unit, ours: null, peer: null, peerName, ratio: null, target, met: false, why };
  }
}

/** Three significant digits. */
export function round3(value: number): number {
  return Number(value.toPrecision(3));
}

/** Makes something that several rows share, when the first of them needs it. */
export function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => {
    made ??= make();
    return made;
  };
}
