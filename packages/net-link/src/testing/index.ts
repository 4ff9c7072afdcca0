/**
 * For tests of this package and of others: an end of a link that shows what came to it.
 * @module
 */

export { type Collected, Collector } from "./collector.ts";
