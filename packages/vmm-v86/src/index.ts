/**
 * Attaches virtio devices to the v86 emulator.
 *
 * @module
 */
export {};
