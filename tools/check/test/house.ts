/**
 * Builds small workspaces in a temporary folder for the tests of the floors.
 *
 * @module
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { onTestFinished } from "vitest";

/** One package of a test's workspace. */
export interface Room {
  readonly floor?: number;
  readonly node?: readonly string[];
  /** Names of workspace packages, without the scope. */
  readonly dependencies?: readonly string[];
  /** Names without the scope; the same as `dependencies` unless told. */
  readonly references?: readonly string[];
  /** Entries and their sources, such as `./node` and `src/node/index.ts`. */
  readonly entries?: Readonly<Record<string, string>>;
  /** Source files and their texts. */
  readonly files?: Readonly<Record<string, string>>;
}

/**
 * Writes a workspace, and removes it when the test is over.
 *
 * @param rooms - its packages, by their names without the scope
 * @returns the workspace's root
 */
export function buildHouse(rooms: Readonly<Record<string, Room>>): string {
  const root = mkdtempSync(join(tmpdir(), "house-"));
  onTestFinished(() => rmSync(root, { recursive: true }));
  writeJson(join(root, "tsconfig.json"), {
    references: Object.keys(rooms).map((name) => ({ path: `packages/${name}` })),
  });
  for (const [name, room] of Object.entries(rooms)) {
    const folder = join(root, "packages", name);
    const dependencies = room.dependencies ?? [];
    writeJson(join(folder, "package.json"), {
      name: `@virtio-ts/${name}`,
      "virtio-ts": { floor: room.floor, node: room.node },
      dependencies: Object.fromEntries(dependencies.map((other) => [`@virtio-ts/${other}`, "workspace:^"])),
      exports: Object.fromEntries(
        Object.entries(room.entries ?? {}).map(([entry, file]) => [entry, { "virtio-ts-source": `./${file}` }]),
      ),
    });
    writeJson(join(folder, "tsconfig.json"), {
      references: (room.references ?? dependencies).map((other) => ({ path: `../${other}` })),
    });
    for (const [file, text] of Object.entries(room.files ?? {})) write(join(folder, file), text);
  }
  return root;
}

function writeJson(file: string, value: unknown): void {
  write(file, JSON.stringify(value));
}

function write(file: string, text: string): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
}
