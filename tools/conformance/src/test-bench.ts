/**
 * Plays tests with one place of the sources broken: the broken text is what is loaded, the file stays as it is. What was
 * compiled is kept from one proof to the next: that makes a proof three times as cheap as with a start of its own.
 *
 * @module
 */
import { join } from "node:path";
import { createVitest, type TestCase, type Vitest } from "vitest/node";
import type { Proof } from "./proofs.ts";

/** One test that was played. */
export interface PlayedTest {
  /** The names of its suites and its own. */
  readonly name: string;
  /** What it threw, with the name of the error's class, or `null` where it passed. */
  readonly error: string | null;
}

/** What came of the tests of one proof. */
export interface Played {
  readonly tests: readonly PlayedTest[];
  /** Why files could not be loaded. */
  readonly problems: readonly string[];
}

/** Where proofs are tried, one at a time. */
export class TestBench {
  readonly #root: string;
  readonly #vitest: Vitest;
  /** What is broken now; `proof` is `null` before the first. */
  readonly #broken: { proof: Proof | null };

  private constructor(root: string, vitest: Vitest, broken: { proof: Proof | null }) {
    this.#root = root;
    this.#vitest = vitest;
    this.#broken = broken;
  }

  /** @param root - the workspace's root */
  static async open(root: string): Promise<TestBench> {
    const broken: { proof: Proof | null } = { proof: null };
    const vitest = await createVitest(
      "test",
      {
        root,
        config: false,
        watch: false,
        silent: true,
        reporters: [{}],
        maxWorkers: 1,
        include: ["packages/*/test/**/*.test.ts"],
        testTimeout: 60_000,
      },
      {
        ssr: { resolve: { conditions: ["virtio-ts-source", "module", "node", "development|production"] } },
        plugins: [
          {
            name: "break-the-source",
            enforce: "pre",
            transform: (code: string, id: string) => {
              const { proof } = broken;
              return proof !== null && id === join(root, proof.file) ? code.replace(proof.from, () => proof.to) : null;
            },
          },
        ],
      },
    );
    return new TestBench(root, vitest, broken);
  }

  /**
   * Plays the tests that bear a proof's id, with its source broken.
   *
   * @param proof - the proof
   * @param files - the test files to look in, or folders of them
   */
  async play(proof: Proof, files: readonly string[]): Promise<Played> {
    const { proof: before } = this.#broken;
    if (before !== null) this.#vitest.invalidateFile(join(this.#root, before.file));
    this.#broken.proof = proof;
    this.#vitest.invalidateFile(join(this.#root, proof.file));
    this.#vitest.setGlobalTestNamePattern(new RegExp(`\\[${proof.id.replaceAll(".", "\\.")}\\]`));
    const specifications = await this.#vitest.globTestSpecifications([...files]);
    const { testModules, unhandledErrors } = await this.#vitest.runTestSpecifications(specifications);
    const tests = testModules.flatMap((module) => [...module.children.allTests()]);
    const problems = [...testModules.flatMap((module) => module.errors()), ...unhandledErrors];
    return {
      tests: tests.filter((test) => test.result().state !== "skipped").map(playedTest),
      problems: problems.map((problem) => String((problem as Error).message ?? problem)),
    };
  }

  /** Lets go of what was kept. */
  close(): Promise<void> {
    return this.#vitest.close();
  }
}

function playedTest(test: TestCase): PlayedTest {
  const [error] = test.result().errors ?? [];
  const failed = test.result().state === "failed";
  return { name: test.fullName, error: failed ? `${error?.name ?? "Error"}: ${error?.message ?? ""}` : null };
}
