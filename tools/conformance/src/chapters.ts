/**
 * The ledger added up by chapter.
 *
 * @module
 */
import type { Entry } from "./ledger.ts";

/** One chapter's figures, as `--json` prints them. */
export interface ChapterSummary {
  readonly total: number;
  readonly shown: number;
  /** How many of the shown ones have a proof: a change of the code that makes their tests fail. */
  readonly proven: number;
  readonly notApplicable: number;
  /** The ids that no test shows and that apply. */
  readonly missing: readonly string[];
}

/**
 * Groups entries by chapter, in the order of the standard.
 *
 * @param entries - the ledger's entries
 */
export function entriesByChapter(entries: readonly Entry[]): Map<string, Entry[]> {
  const chapters = new Map<string, Entry[]>();
  for (const entry of entries) {
    const { chapter } = entry.statement;
    const group = chapters.get(chapter);
    if (group === undefined) chapters.set(chapter, [entry]);
    else group.push(entry);
  }
  return chapters;
}

/**
 * Adds one group of entries up.
 *
 * @param entries - a chapter, or all of them
 */
export function summarize(entries: readonly Entry[]): ChapterSummary {
  const count = (standing: Entry["standing"]): number => entries.filter((entry) => entry.standing === standing).length;
  return {
    total: entries.length,
    shown: count("shown"),
    proven: entries.filter((entry) => entry.standing === "shown" && entry.proven).length,
    notApplicable: count("notApplicable"),
    missing: entries.filter((entry) => entry.standing === "missing").map((entry) => entry.statement.id),
  };
}
