/**
 * What makes a statement shown, and what makes the ledger fail.
 *
 * @module
 */
import { describe, expect, test } from "vitest";
import { summarize } from "../src/chapters.ts";
import { buildLedger, type Ledger } from "../src/ledger.ts";
import { conformancePage } from "../src/page.ts";
import type { LedgerData, Statement } from "../src/statements.ts";
import type { TestOutcome } from "../src/test-outcomes.ts";

const FIRST = "split.device.used-ring.1";
const SECOND = "split.legacy.driver.used-ring.1";

function statement(id: string): Statement {
  return { id, chapter: "split", party: "device", legacy: false, level: "MUST", section: "Used Ring" };
}

function outcome(name: string, result: TestOutcome["outcome"] = "passed"): TestOutcome {
  return { file: "packages/a/test/a.test.ts", name, outcome: result };
}

function ledgerOf(
  outcomes: readonly TestOutcome[],
  data: Partial<LedgerData> = {},
  proven: ReadonlySet<string> = new Set(),
): Ledger {
  const statements = [statement(FIRST), statement(SECOND)];
  return buildLedger(
    { statements, notApplicable: {}, shown: [], unproven: [FIRST, SECOND], ...data },
    outcomes,
    proven,
  );
}

function standings({ entries }: Ledger): string[] {
  return entries.map(({ standing }) => standing);
}

describe("a statement is shown", () => {
  test("by a test that passed and bears its id, alone or among others", () => {
    const ledger = ledgerOf([outcome(`used ring > is written [${FIRST}] [${SECOND}]`)]);
    expect(standings(ledger)).toEqual(["shown", "shown"]);
    expect(ledger.problems).toEqual([]);
  });

  test("only if every test that bears its id passed", () => {
    expect(standings(ledgerOf([outcome(`[${FIRST}] a`), outcome(`[${FIRST}] b`, "failed")]))).toEqual([
      "missing",
      "missing",
    ]);
    expect(standings(ledgerOf([outcome(`[${FIRST}] a`), outcome(`[${FIRST}] b`, "skipped")]))[0]).toBe("missing");
  });

  test("not by an id without brackets", () => {
    expect(standings(ledgerOf([outcome(FIRST)]))[0]).toBe("missing");
  });
});

describe("the ledger fails", () => {
  test("on a statement that is shown and neither proven nor older than proofs", () => {
    const tests = [outcome(`is read [${FIRST}]`)];
    expect(ledgerOf(tests, { unproven: [SECOND] }).problems).toEqual([
      `${FIRST} is shown without a proof: add one to the package's test/proofs.json`,
    ]);
    expect(ledgerOf(tests, { unproven: [] }, new Set([FIRST])).problems).toEqual([]);
  });

  test.each([
    ["a wrong number", "split.device.used-ring.2"],
    ["no number", "split.device.used-ring"],
    ["a wrong party", "split.used-ring.1"],
    ["a wrong chapter", "spilt.device.used-ring.1"],
  ])("on an unknown id: %s", (_, id) => {
    expect(ledgerOf([outcome(`is read [${id}]`)]).problems).toEqual([
      `packages/a/test/a.test.ts: no statement has the id [${id}]: is read [${id}]`,
    ]);
  });

  test("when a statement that was shown is no longer, and says which test is at fault", () => {
    const lost = ledgerOf([outcome(`[${FIRST}]`), outcome(`[${FIRST}] late`, "skipped")], { shown: [FIRST, SECOND] });
    expect(lost.problems).toEqual([
      `${FIRST} was shown and is no longer: packages/a/test/a.test.ts "[${FIRST}] late" (skipped)`,
      `${SECOND} was shown and is no longer: no test bears its id`,
    ]);
  });

  test("when a statement is both shown and not applicable, or is given no reason, or does not exist", () => {
    const notApplicable = { [FIRST]: "A heading.", [SECOND]: " ", "split.device.none.1": "Gone." };
    expect(ledgerOf([outcome(`[${FIRST}]`)], { notApplicable }).problems).toEqual([
      `not-applicable.json: ${FIRST} is shown by packages/a/test/a.test.ts "[${FIRST}]" (passed)`,
      `not-applicable.json: ${SECOND} has no reason`,
      "not-applicable.json: no statement has the id split.device.none.1",
    ]);
  });

  test("not on other text in brackets", () => {
    expect(ledgerOf([outcome("reads [0x10] and [config.json] and [a b.device.c]")]).problems).toEqual([]);
  });
});

test("a chapter's figures and its page", () => {
  const notApplicable = { [SECOND]: "It is a heading." };
  const { entries } = ledgerOf([], { notApplicable });
  expect(summarize(entries)).toEqual({ total: 2, shown: 0, proven: 0, notApplicable: 1, missing: [FIRST] });
  const page = conformancePage(entries, notApplicable);
  expect(page).toContain("| split | 2 | 0 | 0 | 1 | 1 |");
  expect(page).toContain(
    `### Not applicable\n\n- \`${SECOND}\`: It is a heading.\n\n### Missing\n\n- \`${FIRST}\` (MUST)`,
  );
});
