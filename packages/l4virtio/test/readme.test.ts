/**
 * The README's example is the file it was taken from, and prints what its comments say.
 * @module
 */

import { readFileSync } from "node:fs";
import { expect, test, vi } from "vitest";

test("the example prints what its comments say", async () => {
  const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");
  const example = readFileSync(new URL("examples/threads.ts", import.meta.url), "utf8");
  expect(readme).toContain(`\`\`\`ts\n${example}\`\`\``);
  const log = vi.spyOn(console, "log").mockImplementation(() => {});
  await import("./examples/threads.ts");
  const printed = log.mock.calls.map((values) => values.join(" "));
  log.mockRestore();
  expect(printed).toEqual([...example.matchAll(/console\.log\(.*\); \/\/ (.*)/g)].map(([, comment]) => comment));
});
