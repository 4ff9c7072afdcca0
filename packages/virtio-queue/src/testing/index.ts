/**
 * Helpers for the tests of packages that build on @virtio-ts/virtio-queue.
 *
 * @module
 */
export {};
