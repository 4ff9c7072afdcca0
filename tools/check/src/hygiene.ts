/**
 * Packs the package in the current folder as it would be published, and inspects the tarball: publint for the manifest
 * and its files, attw for the types that each entry resolves to.
 *
 * @module
 */
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runCommand } from "@virtio-ts/terminal";

async function inspect(folder: string, room: string): Promise<boolean> {
  const packed = await runCommand(["pnpm", "pack", "--pack-destination", room], { cwd: folder });
  const name = readdirSync(room).find((file) => file.endsWith(".tgz"));
  if (!packed.ok || name === undefined) {
    process.stdout.write(packed.output);
    return false;
  }
  const tarball = join(room, name);
  const results = [
    await runCommand(["publint", "run", tarball, "--strict"], { cwd: folder }),
    await runCommand(["attw", tarball, "--profile", "esm-only", "--no-definitely-typed"], { cwd: folder }),
  ];
  for (const { ok, output } of results) if (!ok) process.stdout.write(output);
  return results.every(({ ok }) => ok);
}

const room = mkdtempSync(join(tmpdir(), "virtio-ts-pack-"));
try {
  if (!(await inspect(process.cwd(), room))) process.exitCode = 1;
} finally {
  rmSync(room, { recursive: true });
}
