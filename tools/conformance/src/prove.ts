/**
 * Breaks the code behind statements, one at a time, and sees the tests that bear their ids fail.
 *
 * @module
 */
import type { Proof } from "./proofs.ts";
import { type PlayedTest, TestBench } from "./test-bench.ts";
import { testsBearing } from "./test-run.ts";

/** How one proof ended. */
export interface ProofResult {
  readonly proof: Proof;
  /** The tests that bear the id and failed; the statement is proven if there are any. */
  readonly failed: readonly string[];
  /** What else came of it, where none failed. */
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
    const bench = await TestBench.open(root);
    try {
      for (let proof = waiting.shift(); proof !== undefined; proof = waiting.shift()) {
        const result = await tryProof(root, bench, proof);
        results.push(result);
        say(result);
      }
    } finally {
      await bench.close();
    }
  };
  await Promise.all([work(), work()]);
  process.exitCode = 0; // a test that failed is what was hoped for
  return results;
}

async function tryProof(root: string, bench: TestBench, proof: Proof): Promise<ProofResult> {
  const files = testsBearing(root, proof.id);
  if (files.length === 0) return { proof, failed: [], output: `no test bears ${proof.id}` };
  const { tests, problems } = await bench.play(proof, files);
  const failed = failuresThatProve(tests, proof.id);
  const seen = tests.map(({ name, error }) => `${error ?? "passed"} (${name})`);
  return { proof, failed, output: [...problems, ...seen].join("\n") };
}

/**
 * The tests that bear an id and failed: not those that failed because the changed source has a name that is not there.
 * Such a source does not break its statement, it is no source at all.
 *
 * @param tests - what the tests said
 * @param id - the statement's id
 * @returns the names of the tests
 */
export function failuresThatProve(tests: readonly PlayedTest[], id: string): string[] {
  return tests
    .filter(({ name, error }) => error !== null && name.includes(`[${id}]`))
    .filter(({ error }) => !/^(ReferenceError|SyntaxError)\b/.test(error ?? ""))
    .map(({ name }) => name);
}
