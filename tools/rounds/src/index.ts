/**
 * How many rounds a randomized test plays, and from which seed. The environment says both, so that one command runs all
 * references for a minute or for a night, and a seed that a failure printed plays it again.
 *
 * @module
 */

/** What fast-check takes as the parameters of a property. */
export interface PropertyOptions {
  readonly numRuns: number;
  readonly seed?: number;
  readonly path?: string;
}

/**
 * The number of rounds to play: `usual` times `VIRTIO_TS_ROUNDS`, at least 1.
 *
 * @param usual - rounds of a run that nothing was asked of
 */
export function rounds(usual: number): number {
  return Math.max(1, Math.round(usual * (numberFrom("VIRTIO_TS_ROUNDS") ?? 1)));
}

/** The seed to play from: `VIRTIO_TS_SEED`, else a new one. A test that draws its own numbers prints it on failure. */
export function seed(): number {
  return numberFrom("VIRTIO_TS_SEED") ?? Math.floor(Math.random() * 2 ** 31);
}

/**
 * The parameters of a fast-check property.
 *
 * @param usual - runs where the environment does not ask for more
 */
export function propertyOptions(usual: number): PropertyOptions {
  const options = { numRuns: rounds(usual) };
  const asked = numberFrom("VIRTIO_TS_SEED");
  if (asked === undefined) return options;
  const path = process.env.VIRTIO_TS_PATH;
  return path === undefined ? { ...options, seed: asked } : { ...options, seed: asked, path };
}

function numberFrom(name: string): number | undefined {
  const text = process.env[name];
  if (text === undefined || text === "") return undefined;
  const value = Number(text);
  if (!Number.isFinite(value)) throw new RangeError(`${name} is "${text}", expected a number`);
  return value;
}
