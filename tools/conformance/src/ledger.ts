/**
 * The ledger: for each statement whether a test shows it, it does not apply, or it is missing.
 *
 * A test shows a statement by bearing its id in square brackets in its name or in the name of a suite around it. A
 * statement is shown if every test that bears its id passed.
 *
 * @module
 */
import type { LedgerData, Statement } from "./statements.ts";
import type { TestOutcome } from "./test-outcomes.ts";

/** How a statement stands. */
export type Standing = "shown" | "notApplicable" | "missing";

/** One statement, how it stands, and the tests that bear its id. */
export interface Entry {
  readonly statement: Statement;
  readonly standing: Standing;
  readonly tests: readonly TestOutcome[];
  /** Whether a proof is kept that its tests fail where the code is broken. */
  readonly proven: boolean;
}

/** The outcome of a look at the whole standard. */
export interface Ledger {
  /** In the order of the standard. */
  readonly entries: readonly Entry[];
  /** What makes the ledger fail: lost statements, unknown ids, contradictions. */
  readonly problems: readonly string[];
}

/** Text in square brackets that is an id, or was meant to be one. */
const BRACKETED = /\[([a-z][a-z0-9-]*\.[^\]\s]+)\]/g;
const PARTY = /\.(device|driver|both)\./;

/**
 * Sets tests against statements.
 *
 * @param data - the committed data
 * @param outcomes - every test of the run
 * @param proven - the ids that have a proof
 */
export function buildLedger(
  data: LedgerData,
  outcomes: readonly TestOutcome[],
  proven: ReadonlySet<string> = new Set(),
): Ledger {
  const { testsOf, problems } = testsByStatement(data.statements, outcomes);
  const entries = data.statements.map((statement): Entry => {
    const tests = testsOf.get(statement.id) ?? [];
    return { statement, standing: standingOf(statement, tests, data), tests, proven: proven.has(statement.id) };
  });
  return { entries, problems: [...problems, ...dataProblems(data, entries)] };
}

function standingOf({ id }: Statement, tests: readonly TestOutcome[], data: LedgerData): Standing {
  if (isShown(tests)) return "shown";
  return id in data.notApplicable ? "notApplicable" : "missing";
}

function isShown(tests: readonly TestOutcome[]): boolean {
  return tests.length > 0 && tests.every((test) => test.outcome === "passed");
}

function testsByStatement(
  statements: readonly Statement[],
  outcomes: readonly TestOutcome[],
): { testsOf: Map<string, TestOutcome[]>; problems: string[] } {
  const testsOf = new Map(statements.map(({ id }): [string, TestOutcome[]] => [id, []]));
  const chapters = new Set(statements.map(({ chapter }) => chapter));
  const problems: string[] = [];
  for (const test of outcomes) {
    for (const id of idsIn(test.name, chapters)) {
      const tests = testsOf.get(id);
      if (tests === undefined) problems.push(`${test.file}: no statement has the id [${id}]: ${test.name}`);
      else tests.push(test);
    }
  }
  return { testsOf, problems };
}

/** The ids that a test's name bears, each once, misspelt ones included. */
function idsIn(name: string, chapters: ReadonlySet<string>): Set<string> {
  const bracketed = Array.from(name.matchAll(BRACKETED), (match) => match[1] ?? "");
  return new Set(bracketed.filter((text) => PARTY.test(text) || chapters.has(text.split(".", 1)[0] ?? "")));
}

function dataProblems({ notApplicable, shown, unproven }: LedgerData, entries: readonly Entry[]): string[] {
  const problems: string[] = [];
  const entryOf = new Map(entries.map((entry) => [entry.statement.id, entry]));
  for (const [id, reason] of Object.entries(notApplicable)) {
    const entry = entryOf.get(id);
    if (entry === undefined) problems.push(`not-applicable.json: no statement has the id ${id}`);
    else if (entry.standing === "shown")
      problems.push(`not-applicable.json: ${id} is shown by ${namesOf(entry.tests)}`);
    if (reason.trim() === "") problems.push(`not-applicable.json: ${id} has no reason`);
  }
  for (const id of shown) {
    const entry = entryOf.get(id);
    if (entry === undefined) problems.push(`shown.json: no statement has the id ${id}`);
    else if (entry.standing !== "shown") problems.push(`${id} was shown and is no longer: ${whyNotShown(entry)}`);
  }
  const excused = new Set(unproven);
  for (const { statement, standing, proven } of entries) {
    if (standing !== "shown" || proven || excused.has(statement.id)) continue;
    problems.push(`${statement.id} is shown without a proof: add one to the package's test/proofs.json`);
  }
  return problems;
}

function whyNotShown({ tests }: Entry): string {
  if (tests.length === 0) return "no test bears its id";
  return namesOf(tests.filter((test) => test.outcome !== "passed"));
}

function namesOf(tests: readonly TestOutcome[]): string {
  return tests.map((test) => `${test.file} "${test.name}" (${test.outcome})`).join(", ");
}
