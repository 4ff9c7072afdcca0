/**
 * What a test run said, reduced to what the ledger needs: each test's name, and whether it passed.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { relative } from "node:path";

/** One test of a run. */
export interface TestOutcome {
  /** The file, relative to the workspace's root. */
  readonly file: string;
  /** The names of its suites and its own, joined by spaces. */
  readonly name: string;
  readonly outcome: "passed" | "failed" | "skipped";
}

/** The part of vitest's JSON report that is read here. */
interface Report {
  readonly testResults: readonly {
    readonly name: string;
    readonly assertionResults: readonly { readonly fullName: string; readonly status: string }[];
  }[];
}

/**
 * Reads a report of vitest's `json` reporter.
 *
 * @param file - the report
 * @param root - the workspace's root
 */
export function readOutcomes(file: string, root: string): TestOutcome[] {
  const report: Report = JSON.parse(readFileSync(file, "utf8"));
  return report.testResults.flatMap(({ name, assertionResults }) =>
    assertionResults.map(({ fullName, status }) => ({
      file: relative(root, name),
      name: fullName,
      outcome: status === "passed" || status === "failed" ? status : "skipped",
    })),
  );
}
