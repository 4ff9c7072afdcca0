/**
 * The archives that a registry gets.
 *
 * @module
 */
import { pnpm } from "./run.ts";

/** A package, packed. */
export interface PackedPackage {
  readonly name: string;
  readonly version: string;
  /** How many files are in it. */
  readonly files: number;
  /** Size of the archive, in bytes. */
  readonly bytes: number;
  /** Path of the archive. */
  readonly archive: string;
}

/** What pnpm says of an archive. */
interface Packed {
  readonly name: string;
  readonly version: string;
  readonly filename: string;
  readonly size: number;
  readonly files: readonly unknown[];
}

/**
 * Packs every package.
 *
 * @param copy - a copy of the repository, made for a release
 * @param destination - the folder for the archives
 */
export async function packAll(copy: string, destination: string): Promise<readonly PackedPackage[]> {
  const args = ["--recursive", "--filter", "./packages/*", "pack", "--json", "--pack-destination", destination];
  const packed = JSON.parse(await pnpm(copy, ...args)) as readonly Packed[];
  const sorted = packed.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  return sorted.map(({ name, version, filename, size, files }) => {
    return { name, version, files: files.length, bytes: size, archive: filename };
  });
}
