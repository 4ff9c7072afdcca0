/**
 * What both device halves keep about a head or buffer id.
 * @module
 */

/** Not the device's. */
export const MARK_FREE = 0;
/** The device has taken the chain. */
export const MARK_TAKEN = 1;
/** The device has given the chain back, but has not published it: the driver can't know yet. */
export const MARK_STAGED = 2;

/** A burst ends early when it has read this many descriptors: what one call of `pop` costs has a bound. */
export const BURST_DESCRIPTORS = 4096;
