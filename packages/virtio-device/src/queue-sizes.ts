/**
 * The sizes of queues that a device declares, checked where its transport is made: a driver has no way to say that one
 * can't be (VIRTIO 1.4, 2.7 and 2.8). For authors of transports.
 * @module
 */

import { MAX_QUEUE_SIZE, QueueConfigError } from "@virtio-ts/virtio-queue";
import type { VirtioDevice } from "./device.ts";

/**
 * Largest size of each queue, entries, as the device declares them; that of its control queue comes last.
 *
 * A split queue has a power of two of entries, a packed one any number (2.7, 2.8.10.1): other sizes than powers of two
 * are for transports whose driver may learn of them only once packed queues are offered. 0 is a queue that is not
 * available.
 * @param packed whether the transport may show other sizes than powers of two
 * @throws QueueConfigError `size` for one that no queue can have
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
