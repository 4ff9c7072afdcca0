/**
 * Helpers for the tests of packages that build on @virtio-ts/virtio-device.
 *
 * @module
 */
export {};
