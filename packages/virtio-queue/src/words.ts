/**
 * How hot loops write their indexes.
 * @module
 */

/**
 * Cuts an index into 32-bit words to the 30 bits it has. V8 then knows that sums of a few such neither overflow nor are
 * negative, and leaves out what it does about either at each access.
 */
export const WORD_INDEX = 0x3fff_ffff;
