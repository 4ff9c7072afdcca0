/**
 * The device half: what the standard requires of the device.
 *
 * @module
 */
export {};
