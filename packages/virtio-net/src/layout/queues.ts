/**
 * The indices of a network device's queues: VIRTIO 1.4, 5.1.2. Pairs of a receive and a transmit queue come first, the
 * control queue last.
 * @module
 */

/** Index of the receive queue of a pair. */
export function receiveQueue(pair: number): number {
  return 2 * pair;
}

/** Index of the transmit queue of a pair. */
export function transmitQueue(pair: number): number {
  return 2 * pair + 1;
}

/** The pair of a queue other than the control queue. */
export function pairOfQueue(index: number): number {
  return index >>> 1;
}

/** Whether a queue other than the control queue transmits. */
export function transmits(index: number): boolean {
  return (index & 1) === 1;
}

/**
 * Index of the control queue.
 * @param pairs the device's `max_virtqueue_pairs`; 1 if neither VIRTIO_NET_F_MQ nor VIRTIO_NET_F_RSS was negotiated
 */
export function controlQueue(pairs: number): number {
  return 2 * pairs;
}
