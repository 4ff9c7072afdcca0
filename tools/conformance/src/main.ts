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
import { type Proof, readProofs } from "./proofs.ts";
import { tryProofs } from "./prove.ts";
import { type LedgerData, readLedgerData } from "./statements.ts";
import { chapterTable, missingList } from "./tables.ts";
import { testOutcomes } from "./test-run.ts";

const usage = `usage: pnpm conformance [--json] [--missing CHAPTER] [--update] [--help]
       pnpm conformance --prove [ID...]

Counts, chapter by chapter, the statements of VIRTIO 1.4 that tests show, that do not apply and that are missing. Uses
the results of the last \`pnpm test\` where no source is younger, else runs the tests that bear ids. Exits with 1 if a
statement that was shown no longer is, or if a test bears an unknown id.

  --json             the figures and the missing ids, as JSON
  --missing CHAPTER  the missing statements of one chapter
  --prove [ID...]    breaks the code behind each statement that has a proof, or behind those named, and sees the tests
                     that bear its id fail; exits with 1 if they do not
  --update           rewrites tools/conformance/data/shown.json and docs/conformance.md
`;

const options = {
  help: { type: "boolean" },
  json: { type: "boolean" },
  missing: { type: "string" },
  prove: { type: "boolean" },
  update: { type: "boolean" },
} as const;

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({ options, allowPositionals: true });
  if (values.help) {
    process.stdout.write(usage);
    return;
  }
  const root = workspaceRoot();
  const { proofs, problems } = readProofs(root);
  if (values.prove) {
    await prove(root, proofs, positionals);
    return;
  }
  if (positionals.length > 0) throw new Error(`ids go with --prove: ${positionals.join(", ")}`);
  const proven = new Set(proofs.map(({ id }) => id));
  const data = readLedgerData(join(root, "tools/conformance/data"));
  const outcomes = testOutcomes(root, console.error);
  const ledger = withProblems(buildLedger(data, outcomes, proven), problems);
  print(ledger, values);
  if (values.update) {
    const updated = { ...data, shown: idsShown(ledger) };
    write(root, updated, ledger);
    report(updated, withProblems(buildLedger(updated, outcomes, proven), problems));
  } else {
    report(data, ledger);
  }
}

function withProblems({ entries, problems }: Ledger, more: readonly string[]): Ledger {
  return { entries, problems: [...problems, ...more] };
}

/** Tries the proofs of some ids, or all, and prints each result as it comes. */
async function prove(root: string, proofs: readonly Proof[], ids: readonly string[]): Promise<void> {
  const unknown = ids.filter((id) => !proofs.some((proof) => proof.id === id));
  if (unknown.length > 0) throw new Error(`no proof is kept for ${unknown.join(", ")}`);
  const chosen = proofs.filter(({ id }) => ids.length === 0 || ids.includes(id));
  const results = await tryProofs(root, chosen, ({ proof, failed, output }) => {
    console.log(
      failed.length > 0 ? `proven  ${proof.id}` : `GREEN   ${proof.id}: ${proof.file} broken, no test failed`,
    );
    if (failed.length === 0) console.log(output.slice(-1000));
  });
  const proven = results.filter(({ failed }) => failed.length > 0).length;
  console.log(`\n${proven} of ${results.length} proven`);
  if (proven < results.length) process.exitCode = 1;
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

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 2;
});
