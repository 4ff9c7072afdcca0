/**
 * The README's examples are the files they were taken from, and print what their comments say.
 * @module
 */

import { readFileSync } from "node:fs";
import { expect, test, vi } from "vitest";

test.each([
  ["device.ts", () => import("./examples/device.ts")],
  ["held.ts", () => import("./examples/held.ts")],
  ["driver.ts", () => import("./examples/driver.ts")],
])("the example %s prints what its comments say", async (name, run) => {
  const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");
  const example = readFileSync(new URL(`examples/${name}`, import.meta.url), "utf8");
  expect(readme).toContain(`\`\`\`ts\n${example}\`\`\``);
  const log = vi.spyOn(console, "log").mockImplementation(() => {});
  await run();
  const printed = log.mock.calls.map((values) => values.join(" "));
  log.mockRestore();
  expect(printed).toEqual([...example.matchAll(/console\.log\(.*\); \/\/ (.*)/g)].map(([, comment]) => comment));
});
