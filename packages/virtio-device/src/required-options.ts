/**
 * What the constructor of a transport can't do without, looked for before anything else. For authors of transports.
 * @module
 */

/**
 * Looks for arguments that were left out, as code that is not type-checked does.
 * @param required each argument, or option, by the name a caller knows it by; and what it should have been
 * @returns which one is missing and what was expected; `null` where all are there
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
