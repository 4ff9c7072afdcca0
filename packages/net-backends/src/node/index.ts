/**
 * The part that needs Node.js.
 *
 * @module
 */
export {};
