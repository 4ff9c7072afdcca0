/**
 * States and answers of a network device, as uknetdev has them: numbers, for states have an order, and the answers of
 * the hot path allocate nothing. For users of the NIC driver.
 * @module
 */

/** There is no device (any more). */
export const NETDEV_INVALID = 0;
/** There is a device, and nobody has talked to it. */
export const NETDEV_UNPROBED = 1;
/** Features are negotiated, the address is known. */
export const NETDEV_UNCONFIGURED = 2;
/** The number of queues is known; each can be set up. */
export const NETDEV_CONFIGURED = 3;
/** Frames flow. */
export const NETDEV_RUNNING = 4;
/** One of the `NETDEV_*` states. */
export type NetdevState =
  | typeof NETDEV_INVALID
  | typeof NETDEV_UNPROBED
  | typeof NETDEV_UNCONFIGURED
  | typeof NETDEV_CONFIGURED
  | typeof NETDEV_RUNNING;

/** Bit of an answer: a packet was received, or was taken to be sent. */
export const NETDEV_STATUS_SUCCESS = 1;
/** Bit of an answer, only beside success: there is another packet, or room for one. */
export const NETDEV_STATUS_MORE = 2;
/** Bit of an answer: fewer receive buffers could be allocated than the queue has room for. */
export const NETDEV_STATUS_UNDERRUN = 4;

/** Negative answer: the call or the packet is not acceptable; or what was received was not, and was dropped. */
export const NETDEV_EINVAL = -22;
/** Negative answer: the device broke a rule, or asks for a reset: nothing goes on before `stop` and `start`. */
export const NETDEV_EIO = -5;

/** Whether an answer says that a packet was received, or taken: uknetdev's `uk_netdev_status_successful`. */
export function netdevSuccessful(status: number): boolean {
  return status >= 0 && (status & NETDEV_STATUS_SUCCESS) !== 0;
}

/** Whether an answer says that, and that there is more: uknetdev's `uk_netdev_status_more`. */
export function netdevMore(status: number): boolean {
  return status >= 0 && (status & NETDEV_STATUS_MORE) !== 0;
}
