/**
 * Wrong usage of a command line, and how it is found.
 *
 * @module
 */

/** A command line that makes no sense; the message says what was expected. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/**
 * One of the words that an option takes.
 *
 * @throws UsageError
 */
export function oneOf<T extends string>(name: string, value: string, choices: readonly T[]): T {
  const choice = choices.find((c) => c === value);
  if (choice !== undefined) return choice;
  const expected = [choices.slice(0, -1).join(", "), choices.at(-1)].join(" or ");
  throw new UsageError(`--${name} ${value}: expected ${expected}`);
}

/**
 * A whole number in a range.
 *
 * @throws UsageError
 */
export function count(name: string, value: string, min: number, max: number): number {
  const number = Number(value);
  if (!Number.isInteger(number) || number < min || number > max) {
    throw new UsageError(`--${name} ${value}: expected a whole number from ${min} to ${max}`);
  }
  return number;
}
