/**
 * Fields of saved state, each looked at once and checked before it is believed. For whatever takes saved state back: the
 * state machine, transports, devices.
 * @module
 */

import { RestoreError } from "./errors.ts";

/**
 * An object of saved fields.
 * @param name what it is called in the error
 * @throws RestoreError `shape`
 */
export function savedRecord(value: unknown, name: string): Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null) throw shapeError(name, "an object", value);
  return value as Readonly<Record<string, unknown>>;
}

/**
 * A list, of which nothing is known but that it is one.
 * @throws RestoreError `shape`
 */
export function savedList(value: unknown, name: string): readonly unknown[] {
  if (!Array.isArray(value)) throw shapeError(name, "an array", value);
  return value;
}

/**
 * A truth value.
 * @throws RestoreError `shape`
 */
export function savedFlag(value: unknown, name: string): boolean {
  if (typeof value !== "boolean") throw shapeError(name, "true or false", value);
  return value;
}

/**
 * A number of 32 bits without sign.
 * @throws RestoreError `shape`
 */
export function savedWord(value: unknown, name: string): number {
  if (typeof value !== "number" || value !== value >>> 0) throw shapeError(name, "a number of 32 bits", value);
  return value;
}

/**
 * A list of so many numbers of 32 bits, copied.
 * @throws RestoreError `shape`
 */
export function savedWords(value: unknown, length: number, name: string): number[] {
  const found = savedList(value, name);
  if (found.length !== length) throw new RestoreError("shape", `${name} has ${found.length} elements, not ${length}`);
  // By our own array: the holes of a sparse one must not slip through.
  return Array.from({ length }, (_, i) => savedWord(found[i], name));
}

/** The error of a field that is not what it has to be. */
export function shapeError(name: string, wanted: string, value: unknown): RestoreError {
  return new RestoreError("shape", `${name} is ${savedText(value)}, not ${wanted}`);
}

/** A value of unknown kind and size, for a message. */
export function savedText(value: unknown): string {
  if (typeof value === "object" && value !== null) return "an object";
  return String(value).slice(0, 40);
}
