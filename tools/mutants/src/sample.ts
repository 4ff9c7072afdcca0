/**
 * Chooses the places of a package that a run breaks: a random sample of all mutants, by a seed.
 *
 * @module
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Instrumenter, type InstrumentResult } from "@stryker-mutator/instrumenter";

/** Texts of messages are not what tests should hold; a mutant that empties one says nothing. */
export const EXCLUDED_MUTATIONS: readonly string[] = ["StringLiteral"];

/** A range that holds more mutants than this is passed over: it would bring all of a function at once. */
const MOST_IN_A_RANGE = 8;

type Mutant = InstrumentResult["mutants"][number];

/** What a run breaks. */
export interface Sample {
  /** Ranges as the mutation framework takes them: `file:line:column-line:column`. */
  readonly ranges: readonly string[];
  /** How many mutants the ranges hold. */
  readonly size: number;
  /** How many mutants the sources have. */
  readonly all: number;
}

/**
 * Chooses ranges that hold about `count` mutants.
 *
 * @param root - the workspace's root
 * @param files - the sources, relative to the root
 * @param count - how many mutants are wanted
 * @param seed - the same seed chooses the same places in the same sources
 */
export async function sampleMutants(
  root: string,
  files: readonly string[],
  count: number,
  seed: number,
): Promise<Sample> {
  const mutants = await mutantsOf(root, files);
  const chosen = new Set<Mutant>();
  const ranges: string[] = [];
  for (const mutant of shuffled(mutants, seed)) {
    if (chosen.size >= count) break;
    if (chosen.has(mutant)) continue;
    const inside = mutants.filter((other) => isInside(other, mutant));
    if (inside.length > MOST_IN_A_RANGE) continue;
    for (const other of inside) chosen.add(other);
    ranges.push(rangeOf(mutant));
  }
  return { ranges, size: chosen.size, all: mutants.length };
}

/**
 * The sources of a package, relative to the root.
 *
 * @param root - the workspace's root
 * @param name - the package's folder under `packages`
 * @param part - a part of the path that each file must have
 */
export function sourcesOf(root: string, name: string, part: string): string[] {
  const folder = `packages/${name}/src`;
  return readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".ts") && !file.startsWith("testing/"))
    .map((file) => `${folder}/${file}`)
    .filter((file) => file.includes(part))
    .sort();
}

async function mutantsOf(root: string, files: readonly string[]): Promise<readonly Mutant[]> {
  const instrumenter = new Instrumenter(silent);
  const sources = files.map((name) => ({ name, content: readFileSync(join(root, name), "utf8"), mutate: true }));
  const options = { plugins: null, excludedMutations: [...EXCLUDED_MUTATIONS], ignorers: [] };
  const { mutants } = await instrumenter.instrument(sources, options);
  return mutants.filter(({ status }) => status !== "Ignored");
}

function isInside(inner: Mutant, outer: Mutant): boolean {
  if (inner.fileName !== outer.fileName) return false;
  const { start, end } = outer.location;
  return !isBefore(inner.location.start, start) && !isBefore(end, inner.location.end);
}

interface Position {
  readonly line: number;
  readonly column: number;
}

function isBefore(a: Position, b: Position): boolean {
  return a.line < b.line || (a.line === b.line && a.column < b.column);
}

/** Lines count from 0 in a location, from 1 in a range. */
function rangeOf({ fileName, location: { start, end } }: Mutant): string {
  return `${fileName}:${start.line + 1}:${start.column}-${end.line + 1}:${end.column}`;
}

/** Fisher-Yates over a xorshift of the seed. */
function shuffled<T>(items: readonly T[], seed: number): T[] {
  const result = [...items];
  let state = seed | 0 || 1;
  for (let i = result.length - 1; i > 0; i--) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    const j = (state >>> 0) % (i + 1);
    [result[i], result[j]] = [result[j] as T, result[i] as T];
  }
  return result;
}

const ignore = (): void => {};
const isOff = (): boolean => false;
const silent = {
  isTraceEnabled: isOff,
  isDebugEnabled: isOff,
  isInfoEnabled: isOff,
  isWarnEnabled: isOff,
  isErrorEnabled: isOff,
  isFatalEnabled: isOff,
  trace: ignore,
  debug: ignore,
  info: ignore,
  warn: ignore,
  error: ignore,
  fatal: ignore,
};
