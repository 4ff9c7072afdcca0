/**
 * Where the frames of a network device go: user-mode network, switch, capture, sockets.
 *
 * @module
 */
export {};
