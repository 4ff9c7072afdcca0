/** Plain data of which some places were changed: what an enemy makes of a snapshot. */
import fc from "fast-check";

/** Stands for {@link ENDLESS}, which is not to be printed. */
const ENDLESS_MARK = "endless";
/** As long as an array can be: who walks it, or makes room for as much, never comes to an end. */
const ENDLESS: readonly unknown[] = new Array(2 ** 32 - 1);

const EDGES: readonly unknown[] = [
  null,
  undefined,
  true,
  false,
  -1,
  0,
  1,
  3,
  7,
  11,
  15,
  16,
  27,
  31,
  64,
  255,
  256,
  0x7fff,
  0xffff,
  0x1_0000,
  2 ** 31,
  2 ** 32 - 1,
  2 ** 32,
  2 ** 53,
  0.5,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  "",
  "split",
  "packed",
  "suspending",
  "resuming",
  "descriptor-length",
  {},
  [],
  [[]],
  ENDLESS_MARK,
  { length: 2 ** 32 - 1 },
  () => 0,
  Symbol("one"),
  10n,
];

const junk = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...EDGES) },
  fc.integer(),
  fc.nat({ max: 40 }),
  fc.array(fc.nat({ max: 40 }), { maxLength: 8 }),
  fc.object({ maxDepth: 1, maxKeys: 3 }),
);

interface Mutation {
  /** Each number picks a key of the object come to. */
  readonly path: readonly number[];
  readonly what: "put" | "drop" | "nudge" | "double";
  readonly value: unknown;
}

const mutation: fc.Arbitrary<Mutation> = fc.record({
  path: fc.array(fc.nat({ max: 1000 }), { minLength: 1, maxLength: 6 }),
  what: fc.constantFrom("put", "put", "drop", "nudge", "double"),
  value: junk,
});

/** A tree of plain data, changed in one to three places; sometimes something else altogether. */
export function mutated<T>(tree: T): fc.Arbitrary<unknown> {
  const changed = fc.array(mutation, { minLength: 1, maxLength: 3 }).map((mutations) => {
    const copy = structuredClone(tree);
    for (const each of mutations) mutate(copy, each);
    return copy;
  });
  return fc.oneof({ weight: 50, arbitrary: changed }, { weight: 1, arbitrary: junk });
}

function mutate(tree: unknown, { path, what, value }: Mutation): void {
  let node = tree as Record<string, unknown>;
  for (const [depth, pick] of path.entries()) {
    const keys = Object.keys(node);
    if (keys.length === 0) return;
    const key = keys[pick % keys.length];
    const below = node[key];
    const leaf = typeof below !== "object" || below === null;
    if (depth < path.length - 1 && !leaf) {
      node = below as Record<string, unknown>;
      continue;
    }
    if (what === "drop") delete node[key];
    else if (what === "nudge" && typeof below === "number") node[key] = below + (pick % 2 === 0 ? 1 : -1);
    else if (what === "double" && Array.isArray(below) && below.length < 99) node[key] = [...below, ...below];
    else node[key] = value === ENDLESS_MARK ? ENDLESS : value;
    return;
  }
}
