/**
 * Tests run from the sources, in two projects: `unit` (every package and most tools, in parallel) and `peers` (real
 * guests and real programs, one file after the other, after the unit tests, with minutes to boot).
 *
 * @module
 */
import { defineConfig } from "vitest/config";
import { rounds } from "./tools/rounds/src/index.ts";

/** Without this condition for ssr, where vitest resolves, the tests would run against `dist`. */
const conditions = ["virtio-ts-source", "module", "node", "development|production"];

const unitTests = ["packages/*/test/**/*.test.ts", "tools/*/test/**/*.test.ts"];
const peerTests = ["tools/guest/test/**/*.test.ts", "tools/interop/test/**/*.test.ts"];

export default defineConfig({
  ssr: { resolve: { conditions } },
  test: {
    passWithNoTests: true,
    reporters: ["default"],
    projects: [
      {
        extends: true,
        test: {
          name: "unit",
          include: unitTests,
          exclude: peerTests,
          testTimeout: 20_000 * rounds(1),
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: {
          name: "peers",
          include: peerTests,
          fileParallelism: false,
          testTimeout: 600_000,
          hookTimeout: 600_000,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
