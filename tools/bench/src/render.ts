/**
 * How rows are printed.
 *
 * @module
 */
import { formatTable } from "@virtio-ts/terminal";
import type { Row } from "./bench.ts";

const COLUMNS = ["name", "ours", "peer", "unit", "peerName", "ratio", "target", "met"] as const;
const NUMBERS: readonly string[] = ["ours", "peer", "ratio", "target"];

/** Rows as an object for programs, on one line. */
export function renderJson(rows: readonly Row[]): string {
  return JSON.stringify({ rows });
}

/** Rows as a table for people: a row that misses its target, or was not measured, is marked. */
export function renderTable(rows: readonly Row[]): string {
  return formatTable(
    COLUMNS.map((title) => ({ title, align: NUMBERS.includes(title) ? "right" : "left" })),
    rows.map((row) => COLUMNS.map((column) => (column === "met" ? verdict(row) : String(row[column] ?? "")))),
  );
}

function verdict({ met, why }: Row): string {
  if (why !== undefined) return `MISSED: ${why.split("\n", 1)[0]}`;
  if (met === null) return "";
  return met ? "met" : "MISSED";
}
