/**
 * Tests against real peers: emulators, kernels, packet tools.
 *
 * @module
 */
export {};
