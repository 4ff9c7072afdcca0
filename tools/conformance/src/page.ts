/**
 * The page `docs/conformance.md`.
 *
 * @module
 */
import { entriesByChapter, summarize } from "./chapters.ts";
import type { Entry, Standing } from "./ledger.ts";

/**
 * Writes the page.
 *
 * @param entries - the ledger's entries
 * @param notApplicable - the reason for each statement that does not apply
 */
export function conformancePage(entries: readonly Entry[], notApplicable: Readonly<Record<string, string>>): string {
  const chapters = [...entriesByChapter(entries)];
  const row = (name: string, group: readonly Entry[]): string => {
    const { total, shown, proven, notApplicable, missing } = summarize(group);
    return `| ${name} | ${total} | ${shown} | ${proven} | ${notApplicable} | ${missing.length} |`;
  };
  return [
    "# Conformance",
    "",
    "Which normative statements of VIRTIO 1.4 are shown by tests, chapter by chapter. A test shows a statement by bearing",
    "its id in square brackets in its name. A shown statement is proven, and marked so, where a change of the code is kept",
    "that makes its test fail: `npx -y pnpm@12 conformance --prove` tries them all. Written by",
    "`npx -y pnpm@12 conformance --update`.",
    "",
    "| chapter | total | shown | proven | not applicable | missing |",
    "|---|--:|--:|--:|--:|--:|",
    ...chapters.map(([chapter, group]) => row(chapter, group)),
    row("**all**", entries),
    ...chapters.flatMap(([chapter, group]) => chapterLists(chapter, group, notApplicable)),
    "",
  ].join("\n");
}

function chapterLists(
  chapter: string,
  entries: readonly Entry[],
  notApplicable: Readonly<Record<string, string>>,
): string[] {
  const list = (title: string, standing: Standing, line: (entry: Entry) => string): string[] => {
    const lines = entries.filter((entry) => entry.standing === standing).map(line);
    return lines.length === 0 ? [] : ["", `### ${title}`, "", ...lines];
  };
  return [
    "",
    `## ${chapter}`,
    ...list("Shown", "shown", ({ statement, proven }) => `- \`${statement.id}\`${proven ? " proven" : ""}`),
    ...list("Not applicable", "notApplicable", ({ statement: { id } }) => `- \`${id}\`: ${notApplicable[id]}`),
    ...list("Missing", "missing", ({ statement }) => `- \`${statement.id}\` (${statement.level})`),
  ];
}
