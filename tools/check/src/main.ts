/**
 * The checks of this repository behind one command, with the floors rule.
 *
 * @module
 */
export {};
