/**
 * Aligned plain-text tables.
 *
 * @module
 */

/** One column: its title, and the side its cells lean to. */
export interface Column {
  readonly title: string;
  readonly align?: "left" | "right";
}

/**
 * One line of a table, two spaces between the columns, for tables that are printed as they grow.
 *
 * @param columns - the columns
 * @param cells - one text per column
 * @param widths - the width of each column, in characters
 */
export function formatRow(columns: readonly Column[], cells: readonly string[], widths: readonly number[]): string {
  const padded = columns.map((column, index) => {
    const cell = cells[index] ?? "";
    const width = widths[index] ?? 0;
    return column.align === "right" ? cell.padStart(width) : cell.padEnd(width);
  });
  return padded.join("  ").trimEnd();
}

/**
 * A whole table: the titles, then the rows.
 *
 * @param columns - the columns
 * @param rows - for each row one text per column
 * @returns the lines, joined by newlines, without one at the end
 */
export function formatTable(columns: readonly Column[], rows: readonly (readonly string[])[]): string {
  const titles = columns.map((column) => column.title);
  const lines = [titles, ...rows];
  const widths = columns.map((_, index) => Math.max(...lines.map((cells) => cells[index]?.length ?? 0)));
  return lines.map((cells) => formatRow(columns, cells, widths)).join("\n");
}
