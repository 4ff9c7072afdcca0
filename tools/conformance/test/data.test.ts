/**
 * The committed data hold together.
 *
 * @module
 */
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { readLedgerData } from "../src/statements.ts";

const { statements } = readLedgerData(fileURLToPath(new URL("../data", import.meta.url)));

test("every statement of the chapters that are built is there, once, without its text", () => {
  expect(statements).toHaveLength(1013);
  expect(new Set(statements.map(({ id }) => id)).size).toBe(1013);
  expect(Object.keys(statements[0]!)).toEqual(["id", "chapter", "party", "legacy", "level", "section"]);
});

test("an id begins with its chapter", () => {
  expect(statements.filter(({ id, chapter }) => !id.startsWith(`${chapter}.`))).toEqual([]);
});
