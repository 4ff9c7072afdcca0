/**
 * What a benchmark is: a name, rows, and a word of progress on the way.
 *
 * @module
 */

/** One result; numbers that belong together may stand in one column. */
export type Row = Readonly<Record<string, string | number | boolean | null | Readonly<Record<string, number>>>>;

/** A result beside a peer's in the same run. */
export interface Comparison extends Row {
  readonly name: string;
  readonly unit: string;
  readonly ours: number;
  readonly peer: number;
  readonly peerName: string;
  /** Ours to the peer's. */
  readonly ratio: number;
  /** What the ratio is to be, at most or at least; `null` where no goal is set. */
  readonly target: number | null;
  /** Whether it is; `null` where no goal is set. */
  readonly met: boolean | null;
}

/** The columns of a table of comparisons. */
export const COMPARISON_COLUMNS: readonly string[] = ["name", "ours", "peer", "unit", "ratio", "target", "met"];

/** What a comparison is made from. */
export interface Measured {
  readonly name: string;
  readonly unit: string;
  readonly ours: number;
  readonly peer: number;
  readonly peerName: string;
  readonly atMost?: number | undefined;
  readonly atLeast?: number | undefined;
}

/** Works out the ratio, and whether it is as wanted. Numbers have three significant digits. */
export function compared({ name, unit, ours, peer, peerName, atMost, atLeast }: Measured): Comparison {
  const ratio = ours / peer;
  const target = atMost ?? atLeast ?? null;
  const isMet = atMost === undefined ? ratio >= (atLeast ?? 0) : ratio <= atMost;
  const met = target === null ? null : isMet;
  return { name, unit, ours: round3(ours), peer: round3(peer), peerName, ratio: round3(ratio), target, met };
}

/** One benchmark, a subcommand of `pnpm bench`. */
export interface Bench {
  readonly name: string;
  /** One line for `--help`. */
  readonly description: string;
  /** The rows' keys, in the order of the table's columns. */
  readonly columns: readonly string[];
  /**
   * @param progress told what is being done
   * @param only do only what has this in its name
   */
  run(progress: (message: string) => void, only?: string): Promise<readonly Row[]>;
}

/** Three significant digits. */
export function round3(value: number): number {
  return Number(value.toPrecision(3));
}
