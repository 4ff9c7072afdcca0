/**
 * The ledger as text for a terminal.
 *
 * @module
 */
import { type Column, formatTable } from "@virtio-ts/terminal";
import { summarize } from "./chapters.ts";
import type { Entry } from "./ledger.ts";

const figures: readonly Column[] = [
  { title: "chapter" },
  { title: "total", align: "right" },
  { title: "shown", align: "right" },
  { title: "proven", align: "right" },
  { title: "not applicable", align: "right" },
  { title: "missing", align: "right" },
];

/**
 * One line per chapter and one for all.
 *
 * @param chapters - the entries of each chapter
 */
export function chapterTable(chapters: ReadonlyMap<string, readonly Entry[]>): string {
  const row = (name: string, entries: readonly Entry[]): string[] => {
    const { total, shown, proven, notApplicable, missing } = summarize(entries);
    return [name, ...[total, shown, proven, notApplicable, missing.length].map(String)];
  };
  const rows = [...chapters].map(([chapter, entries]) => row(chapter, entries));
  return formatTable(figures, [...rows, row("all", [...chapters.values()].flat())]);
}

/**
 * The missing statements: id, level and section.
 *
 * @param entries - one chapter's entries
 */
export function missingList(entries: readonly Entry[]): string {
  const missing = entries.filter(({ standing }) => standing === "missing");
  return formatTable(
    [{ title: "id" }, { title: "level" }, { title: "section" }],
    missing.map(({ statement }) => [statement.id, statement.level, statement.section]),
  );
}
