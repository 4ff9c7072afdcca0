/**
 * States and results of a network device, as in uknetdev. They are numbers, because states are ordered, and results on
 * the hot path must not allocate. For users of the NIC driver.
 * @module
 */

/** No device (any more). */
export const NETDEV_INVALID = 0;
/** A device that was not yet touched. */
export const NETDEV_UNPROBED = 1;
/** Features are negotiated, and the address is known. */
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

/** Result bit: a packet was received, or taken for transmission. */
export const NETDEV_STATUS_SUCCESS = 1;
/** Result bit, only with success: there is another packet, or room for one. */
export const NETDEV_STATUS_MORE = 2;
/** Result bit: fewer receive buffers could be allocated than fit into the queue. */
export const NETDEV_STATUS_UNDERRUN = 4;

/** Negative result: the call or the packet is not acceptable, or a received packet was not and was dropped. */
export const NETDEV_EINVAL = -22;
/** Negative result: the device broke a rule, or asks for a reset: only `stop` and `start` help. */
export const NETDEV_EIO = -5;

/** Whether a packet was received, or taken: uknetdev's `uk_netdev_status_successful`. */
export function netdevSuccessful(status: number): boolean {
  return status >= 0 && (status & NETDEV_STATUS_SUCCESS) !== 0;
}

/** Whether there is more after success: uknetdev's `uk_netdev_status_more`. */
export function netdevMore(status: number): boolean {
  return status >= 0 && (status & NETDEV_STATUS_MORE) !== 0;
}
