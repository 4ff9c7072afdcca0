/**
 * The TypeScript code blocks of a README.
 *
 * @module
 */

/** One code block. */
export interface Block {
  /** The line of its first line of code, from 1. */
  readonly line: number;
  readonly code: string;
}

/** A fence: its marks, then what the block holds. It may be indented, as in a list. */
const FENCE = /^\s*(`{3,}|~{3,})\s*(\w*)/;
const LANGUAGES = ["ts", "mts", "typescript"];

/**
 * Finds the blocks that say they are TypeScript.
 *
 * @param text - a README
 */
export function typeScriptBlocks(text: string): Block[] {
  const lines = text.split("\n");
  const blocks: Block[] = [];
  for (let i = 0; i < lines.length; i++) {
    const opening = FENCE.exec(lines[i] ?? "");
    if (opening === null) continue;
    const [, marks = "", language = ""] = opening;
    const from = i + 1;
    do i++;
    while (i < lines.length && !closes(lines[i] ?? "", marks));
    if (LANGUAGES.includes(language)) blocks.push({ line: from + 1, code: lines.slice(from, i).join("\n") });
  }
  return blocks;
}

/** A closing fence: at least as many of the same marks, and nothing else. */
function closes(line: string, marks: string): boolean {
  const rest = line.trim();
  return rest.startsWith(marks) && rest === marks.charAt(0).repeat(rest.length);
}
