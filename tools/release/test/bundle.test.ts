/**
 * A bundled package: a file for each entry, what they share once, errors that name the sources.
 *
 * @module
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { workspaceRoot } from "@virtio-ts/terminal";
import { beforeAll, expect, test } from "vitest";
import { bundlePackage } from "../src/bundle.ts";

let folder: string;

const sources = {
  "index.ts": 'export { Ring } from "./ring.ts";\nexport { sizes } from "./layout/sizes.ts";\n',
  "ring.ts":
    'import { join } from "node:path";\nexport class Ring {\n  readonly name: string = join("a", "ring");\n}\n',
  "layout/sizes.ts": "export const sizes: number[] = [];\n",
  "driver/index.ts":
    'import { sizes } from "../layout/sizes.ts";\nsizes.push(16);\n\n' +
    'export function fail(): never {\n  throw new Error("no ring");\n}\n',
};

const manifest = {
  name: "rings",
  type: "module",
  exports: {
    ".": { types: "./dist/index.d.ts", default: "./dist/index.js" },
    "./driver": { types: "./dist/driver/index.d.ts", default: "./dist/driver/index.js" },
    "./package.json": "./package.json",
  },
};

/** Runs a module in the package's folder. */
function runModule(code: string): string {
  const args = ["--enable-source-maps", "--input-type=module", "-e", code];
  return execFileSync(process.execPath, args, { cwd: folder, encoding: "utf8" });
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "rings-"));
  const root = workspaceRoot(fileURLToPath(new URL(".", import.meta.url)));
  const compilerOptions = {
    rootDir: "src",
    outDir: "dist",
    types: ["node"],
    typeRoots: [join(root, "node_modules/@types")],
  };
  const files: Record<string, string> = {
    "package.json": JSON.stringify(manifest),
    "tsconfig.json": JSON.stringify({ extends: join(root, "tsconfig.base.json"), compilerOptions, include: ["src"] }),
  };
  for (const [file, text] of Object.entries(sources)) files[`src/${file}`] = text;
  for (const dir of ["src/layout", "src/driver"]) mkdirSync(join(folder, dir), { recursive: true });
  for (const [file, text] of Object.entries(files)) writeFileSync(join(folder, file), text);
  execFileSync(join(root, "node_modules/.bin/tsc"), ["-p", folder]);
  await bundlePackage(folder);
  return () => rmSync(folder, { recursive: true });
});

test("each entry is one file, what they share another, and every declaration is still there", () => {
  const files = readdirSync(join(folder, "dist"), { recursive: true, encoding: "utf8" }).sort();
  const code = files.filter((file) => file.endsWith(".js")).map((file) => file.replace(/-[\w-]{8}\.js$/, "-HASH.js"));
  expect(code).toEqual(["driver/index.js", "index.js", "sizes-HASH.js"]);
  expect(files.filter((file) => file.endsWith(".d.ts"))).toEqual([
    "driver/index.d.ts",
    "index.d.ts",
    "layout/sizes.d.ts",
    "ring.d.ts",
  ]);
});

test("entries share their state, and what is not theirs stays an import", () => {
  const code = 'import "rings/driver"; import { Ring, sizes } from "rings"; console.log(new Ring().name, sizes);';
  expect(runModule(code)).toBe("a/ring [ 16 ]\n");
  expect(readFileSync(join(folder, "dist/index.js"), "utf8")).toContain('from "node:path"');
});

test("an error names the line of the source", () => {
  const code = 'import { fail } from "rings/driver"; try { fail(); } catch ({ stack }) { console.log(stack); }';
  expect(runModule(code)).toContain(join(folder, "src/driver/index.ts:5:9"));
});
