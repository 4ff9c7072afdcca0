/**
 * Checks that a transport's constructor got its required arguments. For authors of transports.
 * @module
 */

/**
 * Finds an argument that was omitted, as code that is not type-checked may do.
 * @param required each argument or option, by the caller's name for it, with a description of the expected value
 * @returns which one is missing and what was expected; `null` if none is missing
 */
export function missingOption(
  required: Readonly<Record<string, readonly [value: unknown, expected: string]>>,
): string | null {
  for (const [name, [value, expected]] of Object.entries(required)) {
    if (typeof value !== "object" || value === null) return `${name} is ${shown(value)}: expected ${expected}`;
  }
  return null;
}

function shown(value: unknown): string {
  return typeof value === "string" ? JSON.stringify(value) : String(value);
}
