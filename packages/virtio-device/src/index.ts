/**
 * The virtio device trait and the one state machine that every transport uses.
 *
 * @module
 */
export {};
