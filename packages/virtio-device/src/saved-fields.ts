/**
 * Fields of saved state, each read once and checked before use. For code that restores state: the state machine,
 * transports, devices.
 * @module
 */

import { RestoreError } from "./errors.ts";

/**
 * An object of saved fields.
 * @param name its name in the error
 * @throws RestoreError `shape`
 */
export function savedRecord(value: unknown, name: string): Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null) throw shapeError(name, "an object", value);
  return value as Readonly<Record<string, unknown>>;
}

/**
 * A list of unchecked elements.
 * @throws RestoreError `shape`
 */
export function savedList(value: unknown, name: string): readonly unknown[] {
  if (!Array.isArray(value)) throw shapeError(name, "an array", value);
  return value;
}

/**
 * A boolean.
 * @throws RestoreError `shape`
 */
export function savedFlag(value: unknown, name: string): boolean {
  if (typeof value !== "boolean") throw shapeError(name, "true or false", value);
  return value;
}

/**
 * An unsigned 32-bit number.
 * @throws RestoreError `shape`
 */
export function savedWord(value: unknown, name: string): number {
  if (typeof value !== "number" || value !== value >>> 0) throw shapeError(name, "a number of 32 bits", value);
  return value;
}

/**
 * A list of `length` unsigned 32-bit numbers, copied.
 * @throws RestoreError `shape`
 */
export function savedWords(value: unknown, length: number, name: string): number[] {
  const found = savedList(value, name);
  if (found.length !== length) throw new RestoreError("shape", `${name} has ${found.length} elements, not ${length}`);
  // Iterates over a new array, because `map` would skip the holes of a sparse one.
  return Array.from({ length }, (_, i) => savedWord(found[i], name));
}

/** The error for a field of the wrong kind. */
export function shapeError(name: string, wanted: string, value: unknown): RestoreError {
  return new RestoreError("shape", `${name} is ${savedText(value)}, not ${wanted}`);
}

/** A value of unknown kind and size, shortened for a message. */
export function savedText(value: unknown): string {
  if (typeof value === "object" && value !== null) return "an object";
  return String(value).slice(0, 40);
}
