/**
 * `pnpm bench import`: what importing packages costs a process, as they are published, beside their modules one by one.
 *
 * All that a NIC in v86 needs has a limit as well. Each import is a process of its own. Of ten the fastest counts, less the
 * fastest that imports nothing.
 * @module
 */
import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { packAll, withReleaseCopy } from "@virtio-ts/release";
import { workspaceRoot } from "@virtio-ts/terminal";
import { type Bench, type Figures, measureRows, once, type Plan } from "./bench.ts";

const PROCESSES = 10;
/** What importing all that a NIC in v86 needs may take. */
const LIMIT_MS = 60;
const run = promisify(execFile);

/** The benchmark. */
export const importBench: Bench = {
  name: "import",
  description: "packages as published beside their modules one by one, ms, least of ten processes",
  async run(progress, only) {
    const root = workspaceRoot();
    const project = mkdtempSync(join(tmpdir(), "virtio-ts-import-"));
    const folders = once(async (): Promise<Folders> => {
      progress("packing");
      await installPublished(root, project);
      return { published: project, modules: join(root, "tools/bench") };
    });
    const times = (...entries: string[]): (() => Promise<Figures>) =>
      once(async () => measure(entries, await folders()));
    const queue = times("@virtio-ts/virtio-queue");
    const v86 = times("@virtio-ts/vmm-v86", "@virtio-ts/user-network", "@virtio-ts/user-network/node");
    const limit = async (): Promise<Figures> => ({ ours: (await v86()).ours, peer: LIMIT_MS });
    const plans: readonly Plan[] = [
      { name: "queue", unit: "ms", peerName: "its modules", measure: queue },
      { name: "v86 set", unit: "ms", peerName: "its modules", measure: v86 },
      { name: "v86 set, limit", unit: "ms", peerName: "limit", atMost: 1, measure: limit },
    ];
    try {
      return await measureRows(plans, progress, only);
    } finally {
      rmSync(project, { recursive: true });
    }
  },
};

/** Where packages are found: as they are published, and module by module. */
interface Folders {
  readonly published: string;
  readonly modules: string;
}

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

async function measure(entries: readonly string[], folders: Folders): Promise<Figures> {
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
  return { ours: least.published - least.nothing, peer: least.modules - least.nothing };
}

async function time(code: string, cwd: string): Promise<number> {
  const start = performance.now();
  await run(process.execPath, ["--input-type=module", "-e", code], { cwd });
  return performance.now() - start;
}
