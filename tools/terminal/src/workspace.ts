/**
 * Finds the workspace this tool runs in.
 *
 * @module
 */
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";

/**
 * The folder that holds `pnpm-workspace.yaml`, at or above a folder.
 *
 * @param from - where to start; the current folder unless told
 * @throws Error if there is none
 */
export function workspaceRoot(from: string = process.cwd()): string {
  for (let folder = from; ; folder = dirname(folder)) {
    if (existsSync(join(folder, "pnpm-workspace.yaml"))) return folder;
    if (folder === dirname(folder)) throw new Error(`no pnpm-workspace.yaml at or above ${from}`);
  }
}
