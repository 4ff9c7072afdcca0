/**
 * What both device halves keep about a head or buffer id.
 * @module
 */

/** The driver's. */
export const FREE = 0;
/** The device has taken the chain. */
export const TAKEN = 1;
/** The device has given the chain back; the driver does not see it yet. */
export const STAGED = 2;

/** A burst ends early when it has read this many descriptors: what one call of `pop` costs has a bound. */
export const BURST_DESCRIPTORS = 4096;
