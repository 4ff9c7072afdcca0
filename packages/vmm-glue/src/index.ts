/**
 * Buses, a device manager, and one-call constructors that put a virtio machine together.
 *
 * @module
 */
export {};
