/**
 * Makes few modules of many: each entry of a built package becomes one file, what entries share a file between them.
 *
 * Loading a module costs half a millisecond and more, and virtio-ts has hundreds: imported one by one, those of a NIC in
 * v86 (340) take four times as long as bundled (27). Declarations stay as they are, and the source maps lead to `src`.
 *
 * @module
 */
import { readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { type Plugin, rolldown } from "rolldown";
import { readManifest } from "./facts.ts";

/** The part of a package.json that is read here. */
interface Manifest {
  readonly exports: Readonly<Record<string, string | { readonly default: string }>>;
}

const DIST = "./dist/";

/** The compiler's source maps, so that those of the bundle lead on to the sources. */
const sourceMaps: Plugin = {
  name: "source-maps",
  load: (file) => ({ code: readFileSync(file, "utf8"), map: readFileSync(`${file}.map`, "utf8") }),
};

/**
 * Bundles a package in its `dist`.
 *
 * @param folder - the package's folder
 */
export async function bundlePackage(folder: string): Promise<void> {
  const dist = join(folder, "dist");
  const { exports } = readManifest(folder) as Manifest;
  const entries = Object.values(exports)
    .filter((target) => typeof target === "object")
    .map((target) => target.default.slice(DIST.length));
  const bundle = await rolldown({
    input: Object.fromEntries(entries.map((file) => [file.replace(/\.js$/, ""), join(dist, file)])),
    external: /^[^./]/,
    platform: "neutral",
    treeshake: false,
    plugins: [sourceMaps],
  });
  const { output } = await bundle.write({ dir: dist, sourcemap: true, entryFileNames: "[name].js" });
  await bundle.close();
  const written = new Set(output.map(({ fileName }) => fileName));
  for (const file of readdirSync(dist, { recursive: true, encoding: "utf8" })) {
    if (/\.js(\.map)?$/.test(file) && !written.has(file)) rmSync(join(dist, file));
  }
}
