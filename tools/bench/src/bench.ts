/**
 * What a benchmark is: a name, rows, and a word of progress on the way.
 *
 * @module
 */

/** One result; numbers that belong together may stand in one column. */
export type Row = Readonly<Record<string, string | number | Readonly<Record<string, number>>>>;

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
  run(progress: (message: string) => void, only?: string): Promise<Row[]>;
}
