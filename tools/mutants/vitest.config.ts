/**
 * The tests of one package, `VIRTIO_TS_PACKAGE`, as the mutation run plays them in its copy of the workspace: from the
 * sources, with a tenth of the random rounds, because each test is played once for each mutant that it covers.
 *
 * @module
 */
import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";

const owner = process.env.VIRTIO_TS_PACKAGE ?? "*";

/** A mutant is done with at the first test that fails: short files first, where vitest begins with the long ones. */
class ShortestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    return (await super.sort(files)).reverse();
  }
}

export default defineConfig({
  ssr: { resolve: { conditions: ["virtio-ts-source", "module", "node", "development|production"] } },
  test: {
    include: [`packages/${owner}/test/**/*.test.ts`],
    // A README's example is looked for in the README, where the copy's instrumented sources do not stand.
    exclude: ["**/readme.test.ts", "**/run-time.test.ts", "**/heap.test.ts", "**/threads/**"],
    env: { VIRTIO_TS_ROUNDS: "0.1", VIRTIO_TS_SEED: "1" },
    testTimeout: 60_000,
    sequence: { sequencer: ShortestFirst },
  },
});
