/**
 * Kernel modules: which the guest may need, and in which order they depend on each other. The dependencies are read
 * from the modules themselves, because Debian's package has no `modules.dep` (its installation would make one).
 *
 * @module
 */
import { readdir, readFile } from "node:fs/promises";
import { basename, join } from "node:path";

/** One kernel module. */
export interface KernelModule {
  /** As `lsmod` prints it: with underscores. */
  readonly name: string;
  /** Names of the modules it needs directly. */
  readonly needs: readonly string[];
  readonly data: Uint8Array;
}

/** The modules that go into the initramfs, with all they depend on. Those that a kernel lacks are left out. */
export const GUEST_MODULES: readonly string[] = [
  "virtio",
  "virtio_ring",
  "virtio_pci",
  "virtio_mmio",
  "virtio_net",
  "virtio_blk",
  "virtio_console",
  "virtio_rng",
  "virtio_balloon",
  "virtio_input",
  "vmw_vsock_virtio_transport",
  "pktgen",
];

/** The modules loaded before the snapshot unless the caller says otherwise: everything a PCI NIC needs. */
export const PRELOADED_MODULES: readonly string[] = ["virtio_pci", "virtio_net"];

/**
 * Finds `wanted` and everything they need below `directory` (a `/lib/modules/<version>`).
 *
 * @returns the modules in an order in which they can be inserted
 */
export async function collectModules(directory: string, wanted: readonly string[]): Promise<KernelModule[]> {
  const paths = new Map<string, string>();
  for (const path of await readdir(directory, { recursive: true })) {
    if (path.endsWith(".ko")) paths.set(moduleName(path), join(directory, path));
  }
  const ordered = new Map<string, KernelModule>();
  const visit = async (name: string): Promise<void> => {
    const path = paths.get(name);
    if (path === undefined || ordered.has(name)) return;
    const data = await readFile(path);
    const module: KernelModule = { name, needs: moduleNeeds(data), data };
    for (const needed of module.needs) await visit(needed);
    ordered.set(name, module);
  };
  for (const name of wanted) await visit(moduleName(name));
  return [...ordered.values()];
}

/** Reads the `depends=` entry of a module's `.modinfo` section. */
export function moduleNeeds(data: Uint8Array): string[] {
  const buffer = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  const start = buffer.indexOf("\0depends=") + 1;
  if (start === 0) return [];
  const value = buffer.toString("latin1", start + "depends=".length, buffer.indexOf(0, start));
  return value === "" ? [] : value.split(",").map(moduleName);
}

/** The `modules.dep` that `modprobe` reads; all modules lie flat in one directory. */
export function modulesDep(modules: readonly KernelModule[]): string {
  const byName = new Map(modules.map((module) => [module.name, module]));
  // modprobe wants the whole closure on one line, nearest first.
  const closure = (module: KernelModule, seen: Set<string>): Set<string> => {
    for (const need of module.needs) {
      const needed = byName.get(need);
      if (!needed) continue;
      seen.delete(need);
      seen.add(need);
      closure(needed, seen);
    }
    return seen;
  };
  const lines = modules.map((module) => {
    const needs = [...closure(module, new Set())].map((name) => `${name}.ko`);
    return `${module.name}.ko:${needs.map((need) => ` ${need}`).join("")}\n`;
  });
  return lines.join("");
}

function moduleName(path: string): string {
  return basename(path, ".ko").replaceAll("-", "_");
}
