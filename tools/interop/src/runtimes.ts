/**
 * The runtimes that the packages are for: programs that npm packages carry, fetched once and kept in the cache.
 *
 * @module
 */
import { execFile } from "node:child_process";
import { access, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { defaultCacheDir, makeDirectoryAtomically } from "@virtio-ts/guest";
import { lacking } from "./peers.ts";

/** A runtime: the npm package that carries it, and how it runs a module. */
export interface Runtime {
  /** Package and version. */
  readonly source: string;
  /** The program's name. */
  readonly program: string;
  /** Arguments that come before the module's path. */
  readonly args: readonly string[];
}

/** All of them. */
export const RUNTIMES: readonly Runtime[] = [
  ...[20, 22, 24, 26].map((version) => ({ source: `node@${version}`, program: "node", args: [] })),
  { source: "bun@1.4", program: "bun", args: [] },
  { source: "deno@2.9", program: "deno", args: ["run", "--allow-all"] },
];

/** Thrown by {@link runtimeProgram} when a runtime is required on this machine and can't be fetched. */
export class RuntimeMissingError extends Error {
  readonly code = "RUNTIME_MISSING";

  constructor({ source }: Runtime, cause: Error) {
    // The command is the first line, npm's own error the next.
    super(`${source} can't be had: ${cause.message.trim().split("\n").slice(0, 2).join(": ")}`, { cause });
    this.name = "RuntimeMissingError";
  }
}

/**
 * For use inside a test: the path of a runtime's program. Where it can't be fetched the running test is skipped, or
 * fails where peers are required.
 *
 * @param runtime - the runtime
 * @throws RuntimeMissingError if peers are required
 */
export async function runtimeProgram(runtime: Runtime): Promise<string> {
  const folder = join(defaultCacheDir(), `runtime-${runtime.source}`);
  const program = join(folder, "node_modules/.bin", runtime.program);
  if (await isThere(program)) return program;
  try {
    await makeDirectoryAtomically(
      folder,
      (unfinished) => install(runtime, unfinished),
      () => isThere(program),
    );
  } catch (error) {
    return lacking(new RuntimeMissingError(runtime, error as Error));
  }
  return program;
}

async function install({ source }: Runtime, folder: string): Promise<void> {
  await writeFile(join(folder, "package.json"), JSON.stringify({ private: true }));
  await promisify(execFile)("npm", ["install", "--no-audit", "--no-fund", source], { cwd: folder });
}

function isThere(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}
