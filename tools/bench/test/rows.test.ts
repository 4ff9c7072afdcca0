/**
 * The rows of every benchmark, and how they are printed.
 * @module
 */

import { expect, test } from "vitest";
import { measureRows, type Plan } from "../src/bench.ts";
import { renderJson, renderTable } from "../src/render.ts";

const plan = (name: string, ours: number, peer: number, atMost?: number): Plan => ({
  name,
  unit: "ns",
  peerName: "flat loop",
  atMost,
  measure: async () => ({ ours, peer }),
});

const PLANS: readonly Plan[] = [
  plan("quick", 10, 8, 2),
  plan("slow", 30.14, 8, 2),
  {
    ...plan("broken", 0, 0, 2),
    measure: () => {
      throw new Error("took 3 chains of 4\n  at once");
    },
  },
  plan("nothing", Number.POSITIVE_INFINITY, 8),
  plan("free", 16, 8),
];

const silent = (): void => {};

test("a row that cannot be measured says why, and the others go on", async () => {
  const said: string[] = [];
  const rows = await measureRows(PLANS, (message) => said.push(message));
  const common = { unit: "ns", peerName: "flat loop" };
  const unmeasured = { ...common, ours: null, peer: null, ratio: null, met: false };
  expect(JSON.parse(renderJson(rows))).toStrictEqual({
    rows: [
      { name: "quick", ...common, ours: 10, peer: 8, ratio: 1.25, target: 2, met: true },
      { name: "slow", ...common, ours: 30.1, peer: 8, ratio: 3.77, target: 2, met: false },
      { name: "broken", ...unmeasured, target: 2, why: "took 3 chains of 4\n  at once" },
      { name: "nothing", ...unmeasured, target: null, why: "measured Infinity beside 8: no ratio" },
      { name: "free", ...common, ours: 16, peer: 8, ratio: 2, target: null, met: null },
    ],
  });
  expect(said).toEqual(["quick", "slow", "broken", "nothing", "free"]);
});

test("the table marks rows that miss their target, or were not measured", async () => {
  expect(renderTable(await measureRows(PLANS, silent)).split("\n")).toEqual([
    "name     ours  peer  unit  peerName   ratio  target  met",
    "quick      10     8  ns    flat loop   1.25       2  met",
    "slow     30.1     8  ns    flat loop   3.77       2  MISSED",
    "broken               ns    flat loop              2  MISSED: took 3 chains of 4",
    "nothing              ns    flat loop                 MISSED: measured Infinity beside 8: no ratio",
    "free       16     8  ns    flat loop      2",
  ]);
});

test("a target is met by the ratio itself, not by what is left of it when it is rounded", async () => {
  const [row] = await measureRows([plan("close", 2.001, 1, 2)], silent);
  expect(row).toMatchObject({ ratio: 2, met: false });
});

test("a figure below nothing is no measurement", async () => {
  const [row] = await measureRows([plan("busy", -11.7, 67, 2)], silent);
  expect(row).toMatchObject({ ours: null, ratio: null, met: false, why: "measured -11.7 beside 67: no ratio" });
});

test("only rows that were asked for are measured", async () => {
  const rows = await measureRows(PLANS, silent, "o");
  expect(rows.map(({ name }) => name)).toEqual(["slow", "broken", "nothing"]);
});
