/**
 * Set-up of one virtqueue: its size, its memory, the device's registers (VIRTIO 1.4, 2.6, 4.1.5.1.3, 4.2.3.2). Part of
 * `DriverDevice.createQueue`.
 * @module
 */

import { feature, VIRTIO_F_INDIRECT_DESC, VIRTIO_F_RING_PACKED } from "@virtio-ts/virtio-bindings";
import { createDriverQueue, type DriverQueue, type DriverQueueFault, MAX_QUEUE_SIZE } from "@virtio-ts/virtio-queue";
import { DriverError } from "./errors.ts";
import type { DriverHost } from "./host.ts";
import { queueLayout } from "./queue-layout.ts";
import type { DriverTransport } from "./transport.ts";

/** Options of a queue. */
export interface QueueOptions {
  /**
   * Entries; a power of two for a split ring. By default, and on a legacy interface that fixes the size, the device's
   * maximum; never more than that.
   */
  readonly size?: number;
  /** Entries of each indirect table, if VIRTIO_F_INDIRECT_DESC was negotiated; none by default. */
  readonly indirectEntries?: number;
  /** The most descriptors that the device takes in a chain; the queue's size by default. */
  readonly maxChain?: number;
  /**
   * Called when the device has used buffers, or may have, in the host's interrupt delivery. If it throws, the device is
   * given up.
   */
  readonly onUsed?: () => void;
}

/** A queue that is set up in the device. */
export interface QueueSetup {
  readonly queue: DriverQueue;
  /** Address of its block. */
  readonly block: number;
}

/**
 * Sets queue `index` up. If that fails, its memory is freed.
 * @throws DriverError `invalid`, `queue-unavailable`, `no-memory`; those of `DriverTransport.enableQueue`
 */
export async function setUpQueue(
  transport: DriverTransport,
  host: DriverHost,
  features: bigint,
  index: number,
  options: QueueOptions,
  onFault: (fault: DriverQueueFault) => void,
): Promise<QueueSetup> {
  const packed = (features & feature(VIRTIO_F_RING_PACKED)) !== 0n;
  const size = queueSize(transport, packed, index, options.size);
  const legacy = transport.legacyPlacement;
  const indirect = (features & feature(VIRTIO_F_INDIRECT_DESC)) !== 0n;
  const layout = queueLayout({ size, packed, legacy, indirectEntries: indirect ? (options.indirectEntries ?? 0) : 0 });
  const block = host.dma.allocate(layout.length, layout.align, legacy?.limit);
  try {
    const areas = layout.areas(block);
    const { maxChain } = options;
    const queue = createDriverQueue(host.memory, features, areas, {
      indirect: layout.tables(block),
      maxChain,
      onFault,
    });
    await transport.enableQueue(index, areas);
    return { queue, block };
  } catch (cause) {
    host.dma.free(block);
    throw cause;
  }
}

/** The size of a queue that exists and is not in use. */
function queueSize(transport: DriverTransport, packed: boolean, index: number, wanted: number | undefined): number {
  if (!Number.isInteger(index) || index < 0 || index > 0xffff) throw new DriverError("invalid", `queue ${index}`);
  if (wanted !== undefined && !isSize(wanted, packed)) {
    throw new DriverError("invalid", `queue ${index} of ${wanted} entries`);
  }
  const max = transport.queueMaxSize(index);
  if (max === 0) throw new DriverError("queue-unavailable", `there is no queue ${index}`);
  if (transport.queueEnabled(index)) throw new DriverError("queue-unavailable", `queue ${index} is in use`);
  if (transport.legacyPlacement?.fixedSize) {
    if (!isSize(max, packed)) throw new DriverError("refused", `queue ${index} must have ${max} entries`);
    return max;
  }
  return Math.min(wanted ?? MAX_QUEUE_SIZE, largest(max, packed));
}

function isSize(size: number, packed: boolean): boolean {
  return Number.isInteger(size) && size >= 1 && size <= MAX_QUEUE_SIZE && (packed || Number.isInteger(Math.log2(size)));
}

/** The largest valid size for a device's `max`, which may itself be invalid. */
function largest(max: number, packed: boolean): number {
  return Math.min(MAX_QUEUE_SIZE, packed ? max : 2 ** Math.floor(Math.log2(max)));
}
