/**
 * For tests of this package and of others: an end of a link that keeps the frames it takes.
 * @module
 */

export { type Collected, Collector } from "./collector.ts";
