/**
 * What a TypeScript file imports: declarations, re-exports, dynamic imports and `import("...")` types.
 *
 * @module
 */
import { parseSync, Visitor } from "oxc-parser";

/** One module specifier in a file. */
export interface ImportSite {
  readonly specifier: string;
  /** The line of the statement, counted from 1. */
  readonly line: number;
}

interface Sourced {
  readonly start: number;
  readonly source?: unknown;
}

/**
 * Lists the imports of one file, in their order.
 *
 * @param file - the file's name, for the parser's messages
 * @param text - the file's text
 * @throws Error if the text does not parse
 */
export function importSites(file: string, text: string): ImportSite[] {
  const { program, errors } = parseSync(file, text);
  const error = errors[0];
  if (error !== undefined) throw new Error(`${file}: ${error.message}`);
  const sites: ImportSite[] = [];
  const collect = (node: Sourced): void => {
    const specifier = literalText(node.source);
    if (specifier !== undefined) sites.push({ specifier, line: text.slice(0, node.start).split("\n").length });
  };
  new Visitor({
    ImportDeclaration: collect,
    ExportAllDeclaration: collect,
    ExportNamedDeclaration: collect,
    ImportExpression: collect,
    TSImportType: collect,
  }).visit(program);
  return sites;
}

/** The text of a string literal; undefined for a computed specifier and for `export { a }`, which has none. */
function literalText(node: unknown): string | undefined {
  if (typeof node !== "object" || node === null || !("value" in node)) return undefined;
  return typeof node.value === "string" ? node.value : undefined;
}
