/**
 * For tests and benchmarks of what users install.
 *
 * @module
 */
export { withReleaseCopy } from "./copy.ts";
export type { OwnerFacts } from "./facts.ts";
export { type PackedPackage, packAll } from "./pack.ts";
export { publishAll } from "./publish.ts";
