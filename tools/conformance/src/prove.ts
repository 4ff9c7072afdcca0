/**
 * Breaks the code behind statements, one at a time, and sees the tests that bear their ids fail.
 *
 * @module
 */
import { mkdirSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { runCommand } from "@virtio-ts/terminal";
import type { Proof } from "./proofs.ts";
import { readOutcomes, type TestOutcome } from "./test-outcomes.ts";
import { testsBearing } from "./test-run.ts";

/** How one proof ended. */
export interface ProofResult {
  readonly proof: Proof;
  /** The tests that bear the id and failed; the statement is proven if there are any. */
  readonly failed: readonly string[];
  /** What the tests printed, where none failed. */
  readonly output: string;
}

/**
 * Tries proofs, two at a time.
 *
 * @param root - the workspace's root
 * @param proofs - the proofs
 * @param say - told of each result as it comes
 */
export async function tryProofs(
  root: string,
  proofs: readonly Proof[],
  say: (result: ProofResult) => void,
): Promise<ProofResult[]> {
  const results: ProofResult[] = [];
  const waiting = [...proofs];
  const work = async (): Promise<void> => {
    for (let proof = waiting.shift(); proof !== undefined; proof = waiting.shift()) {
      const result = await tryProof(root, proof);
      results.push(result);
      say(result);
    }
  };
  await Promise.all([work(), work()]);
  return results;
}

async function tryProof(root: string, proof: Proof): Promise<ProofResult> {
  const report = join(root, `.cache/proofs/${proof.id}.json`);
  mkdirSync(dirname(report), { recursive: true });
  rmSync(report, { force: true });
  const files = testsBearing(root, proof.id);
  if (files.length === 0) return { proof, failed: [], output: `no test bears ${proof.id}` };
  const id = proof.id.replaceAll(".", "\\.");
  const { output } = await runCommand(
    [
      "vitest",
      "run",
      "--config",
      "tools/conformance/vitest.prove.config.ts",
      "--reporter=json",
      `--outputFile.json=${report}`,
      "--testNamePattern",
      `\\[${id}\\]`,
      ...files,
    ],
    { cwd: root, env: { VIRTIO_TS_PROOF: JSON.stringify(proof) } },
  );
  return { proof, failed: failuresThatProve(outcomes(report, root), proof.id), output };
}

/**
 * The tests that bear an id and failed: not those that failed because the changed source has a name that is not there.
 * Such a source does not break its statement, it is no source at all.
 *
 * @param outcomes - what the tests said
 * @param id - the statement's id
 * @returns the names of the tests
 */
export function failuresThatProve(outcomes: readonly TestOutcome[], id: string): string[] {
  return outcomes
    .filter(({ name, outcome }) => outcome === "failed" && name.includes(`[${id}]`))
    .filter(({ error = "" }) => !/^(ReferenceError|SyntaxError)\b/.test(error))
    .map(({ name }) => name);
}

/** A run that was killed, or whose files could not be loaded, leaves no outcome: nothing is proven by it. */
function outcomes(report: string, root: string): TestOutcome[] {
  try {
    return readOutcomes(report, root);
  } catch {
    return [];
  }
}
