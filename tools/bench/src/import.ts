/**
 * `pnpm bench import`: what importing packages costs a process, as they are published, beside their modules one by one.
 *
 * Each import is a process of its own. Of ten the fastest counts, less the fastest that imports nothing.
 * @module
 */
import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { packAll, withReleaseCopy } from "@virtio-ts/release";
import { workspaceRoot } from "@virtio-ts/terminal";
import { type Bench, type Row, round3 } from "./bench.ts";

const PROCESSES = 10;
/** What importing all that a NIC in v86 needs may take, milliseconds. */
const TARGET_MS = 60;
const run = promisify(execFile);

/** Names of what is measured, and what each imports. */
const SETS: Readonly<Record<string, readonly string[]>> = {
  queue: ["@virtio-ts/virtio-queue"],
  "v86 set": ["@virtio-ts/vmm-v86", "@virtio-ts/user-network", "@virtio-ts/user-network/node"],
};

/** The benchmark. */
export const importBench: Bench = {
  name: "import",
  description: "packages as published beside their modules one by one, ms, least of ten processes",
  columns: ["name", "published", "modules", "unit", "target", "met"],
  async run(progress, only) {
    const root = workspaceRoot();
    const project = mkdtempSync(join(tmpdir(), "virtio-ts-import-"));
    try {
      progress("packing");
      await installPublished(root, project);
      const rows: Row[] = [];
      for (const [name, entries] of Object.entries(SETS)) {
        if (only !== undefined && !name.includes(only)) continue;
        progress(name);
        rows.push(await measure(name, entries, { published: project, modules: join(root, "tools/bench") }));
      }
      return rows;
    } finally {
      rmSync(project, { recursive: true });
    }
  },
};

/** What npm would do, without a registry. */
async function installPublished(root: string, project: string): Promise<void> {
  const facts = { repository: "", homepage: "", bugs: "", author: "" };
  await withReleaseCopy(root, facts, async (copy) => {
    for (const { name, archive } of await packAll(copy, join(copy, ".cache"))) {
      const folder = join(project, "node_modules", name);
      mkdirSync(folder, { recursive: true });
      await run("tar", ["-xzf", archive, "-C", folder, "--strip-components=1"]);
    }
  });
}

async function measure(
  name: string,
  entries: readonly string[],
  folders: { readonly published: string; readonly modules: string },
): Promise<Row> {
  const code = entries.map((entry) => `import ${JSON.stringify(entry)};`).join("");
  const least = {
    nothing: Number.POSITIVE_INFINITY,
    published: Number.POSITIVE_INFINITY,
    modules: Number.POSITIVE_INFINITY,
  };
  for (let i = 0; i < PROCESSES; i++) {
    least.nothing = Math.min(least.nothing, await time("", folders.published));
    least.published = Math.min(least.published, await time(code, folders.published));
    least.modules = Math.min(least.modules, await time(code, folders.modules));
  }
  const published = round3(least.published - least.nothing);
  const modules = round3(least.modules - least.nothing);
  return { name, published, modules, unit: "ms", target: TARGET_MS, met: published <= TARGET_MS };
}

async function time(code: string, cwd: string): Promise<number> {
  const start = performance.now();
  await run(process.execPath, ["--input-type=module", "-e", code], { cwd });
  return performance.now() - start;
}
