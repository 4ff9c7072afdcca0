/**
 * Quoting for the guest's shell.
 *
 * @module
 */

/** Makes one word of the shell of any text. */
export function shellQuote(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
