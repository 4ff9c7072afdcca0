/**
 * `pnpm conformance`: which statements of the standard are shown by tests that pass.
 *
 * @module
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { workspaceRoot } from "@virtio-ts/terminal";
import { entriesByChapter, summarize } from "./chapters.ts";
import { buildLedger, type Ledger } from "./ledger.ts";
import { conformancePage } from "./page.ts";
import { type LedgerData, readLedgerData } from "./statements.ts";
import { chapterTable, missingList } from "./tables.ts";
import { testOutcomes } from "./test-run.ts";

const usage = `usage: pnpm conformance [--json] [--missing CHAPTER] [--update] [--help]

Counts, chapter by chapter, the statements of VIRTIO 1.4 that tests show, that do not apply and that are missing. Uses
the results of the last \`pnpm test\` where no source is younger, else runs the tests that bear ids. Exits with 1 if a
statement that was shown no longer is, or if a test bears an unknown id.

  --json             the figures and the missing ids, as JSON
  --missing CHAPTER  the missing statements of one chapter
  --update           rewrites tools/conformance/data/shown.json and docs/conformance.md
`;

const options = {
  help: { type: "boolean" },
  json: { type: "boolean" },
  missing: { type: "string" },
  update: { type: "boolean" },
} as const;

function main(): void {
  const { values } = parseArgs({ options });
  if (values.help) {
    process.stdout.write(usage);
    return;
  }
  const root = workspaceRoot();
  const data = readLedgerData(join(root, "tools/conformance/data"));
  const outcomes = testOutcomes(root, console.error);
  const ledger = buildLedger(data, outcomes);
  print(ledger, values);
  if (values.update) {
    const updated = { ...data, shown: idsShown(ledger) };
    write(root, updated, ledger);
    report(updated, buildLedger(updated, outcomes));
  } else {
    report(data, ledger);
  }
}

function print({ entries }: Ledger, values: { readonly json?: boolean; readonly missing?: string }): void {
  const chapters = entriesByChapter(entries);
  if (values.missing !== undefined) {
    const chapter = chapters.get(values.missing);
    if (chapter === undefined) throw new Error(`no chapter ${values.missing}: ${[...chapters.keys()].join(", ")}`);
    console.log(missingList(chapter));
  } else if (values.json) {
    const summaries = [...chapters].map(([chapter, group]) => [chapter, summarize(group)]);
    console.log(JSON.stringify({ chapters: Object.fromEntries(summaries) }));
  } else {
    console.log(chapterTable(chapters));
  }
}

function report({ shown }: LedgerData, ledger: Ledger): void {
  const known = new Set(shown);
  const gained = idsShown(ledger).filter((id) => !known.has(id)).length;
  if (gained > 0) console.error(`\n${gained} newly shown: record them with pnpm conformance --update`);
  for (const problem of ledger.problems) console.error(`\n${problem}`);
  if (ledger.problems.length > 0) process.exitCode = 1;
}

/** Records what is shown now; what was lost is for the reviewer of the change to see. */
function write(root: string, { shown, notApplicable }: LedgerData, { entries }: Ledger): void {
  writeFileSync(join(root, "tools/conformance/data/shown.json"), `${JSON.stringify(shown, undefined, 1)}\n`);
  mkdirSync(join(root, "docs"), { recursive: true });
  writeFileSync(join(root, "docs/conformance.md"), conformancePage(entries, notApplicable));
}

function idsShown({ entries }: Ledger): string[] {
  return entries.filter(({ standing }) => standing === "shown").map(({ statement }) => statement.id);
}

try {
  main();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 2;
}
