/**
 * Gets a kernel, builds an initramfs, and boots real guests for the demo and the tests.
 *
 * @module
 */
export {};
