/**
 * The queue sizes that a device declares. Transports check them at construction, because a driver cannot report an
 * impossible size (VIRTIO 1.4, 2.7 and 2.8). For authors of transports.
 * @module
 */

import { MAX_QUEUE_SIZE, QueueConfigError } from "@virtio-ts/virtio-queue";
import type { VirtioDevice } from "./device.ts";

/**
 * Largest size of each queue, entries, as the device declares it; the control queue's comes last.
 *
 * A split queue has a power of two of entries, a packed one any number (2.7, 2.8.10.1). Only a transport whose driver
 * reads the sizes when packed queues are offered may show sizes other than powers of two. 0 is a queue that is not
 * available.
 * @param packed whether the transport may show sizes other than powers of two
 * @throws QueueConfigError `size` for an impossible size
 */
export function declaredQueueSizes(device: VirtioDevice, packed: boolean): readonly number[] {
  const { queueMaxSizes, controlQueueMaxSize = 0 } = device;
  if (!Array.isArray(queueMaxSizes)) {
    throw new QueueConfigError("size", `queueMaxSizes is ${String(queueMaxSizes)}: expected the size of each queue`);
  }
  for (const [index, size] of queueMaxSizes.entries()) check(`queueMaxSizes[${index}]`, size, packed);
  check("controlQueueMaxSize", controlQueueMaxSize, packed);
  return controlQueueMaxSize > 0 ? [...queueMaxSizes, controlQueueMaxSize] : [...queueMaxSizes];
}

function check(what: string, size: number, packed: boolean): void {
  const possible = Number.isInteger(size) && size >= 0 && size <= MAX_QUEUE_SIZE;
  if (possible && (packed || (size & (size - 1)) === 0)) return;
  const numbers = packed ? "an integer" : "a power of two";
  throw new QueueConfigError(
    "size",
    `${what} is ${String(size)}: expected ${numbers} up to ${MAX_QUEUE_SIZE}, or 0 for a queue that is not available`,
  );
}
