/**
 * The ledger of the standard: which statement is shown by which test.
 *
 * @module
 */
export {};
