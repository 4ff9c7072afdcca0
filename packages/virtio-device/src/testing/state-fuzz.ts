/**
 * For tests of code that restores state: saved state that was tampered with.
 * @module
 */

/** The longest possible array: code that walks it, or allocates as much, does not return. */
const ENDLESS: readonly unknown[] = new Array(2 ** 32 - 1);

const JUNK: readonly unknown[] = [
  null,
  undefined,
  true,
  false,
  "",
  "split",
  "packed",
  "suspending",
  "resuming",
  -1,
  0,
  1,
  2,
  3,
  15,
  16,
  27,
  31,
  64,
  255,
  4096,
  0xffff,
  0x1_0000,
  0xffff_ffff,
  2 ** 32,
  2 ** 53,
  0.5,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  10n,
  Symbol("junk"),
  (): number => 0,
  ENDLESS,
  { length: 2 ** 32 - 1 },
  [],
  [0],
  [0, 0, 0, 0],
  {},
];
/** Most places changed, their depth, and the longest list that is doubled. */
const CHANGES = 3;
const DEPTH = 6;
const DOUBLED = 256;

/**
 * A copy of saved state with some places changed, removed, or doubled in length.
 * @param random whole numbers below its argument: `randomNumbers`
 */
export function tamperedState<T>(state: T, random: (below: number) => number): T {
  const copy: T = JSON.parse(JSON.stringify(state));
  for (let changes = 1 + random(CHANGES); changes > 0; changes--) change(copy, random);
  return copy;
}

/** Descends from the root at random, and changes the place that it reaches. */
function change(tree: unknown, random: (below: number) => number): void {
  let node = tree as Record<string, unknown>;
  for (let depth = 1 + random(DEPTH); ; depth--) {
    const keys = Object.keys(node);
    if (keys.length === 0) return;
    const key = keys[random(keys.length)];
    const below = node[key];
    if (depth > 0 && typeof below === "object" && below !== null) {
      node = below as Record<string, unknown>;
      continue;
    }
    const kind = random(8);
    if (kind === 0) delete node[key];
    else if (kind === 1 && Array.isArray(below) && below.length < DOUBLED) node[key] = [...below, ...below];
    else if (kind === 2 && typeof below === "number") node[key] = below ^ (1 << random(32));
    else node[key] = JUNK[random(JUNK.length)];
    return;
  }
}
