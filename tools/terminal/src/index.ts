/**
 * What the command line tools of this repository share.
 *
 * @module
 */
export { type CommandResult, runCommand } from "./command.ts";
export { type Column, formatRow, formatTable } from "./table.ts";
export { workspaceRoot } from "./workspace.ts";
