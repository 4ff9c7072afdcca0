/**
 * Tables are aligned, whatever the cells hold.
 *
 * @module
 */
import { expect, test } from "vitest";
import { formatTable } from "../src/table.ts";

test("columns are as wide as their widest cell and lean to the side they name", () => {
  const table = formatTable(
    [{ title: "step" }, { title: "time", align: "right" }, { title: "result" }],
    [
      ["types", "0.1 s", "ok"],
      ["conformance", "12.0 s", ""],
    ],
  );
  expect(table.split("\n")).toEqual(["step           time  result", "types         0.1 s  ok", "conformance  12.0 s"]);
});
