/**
 * The sizes of a NIC's queues, and the least capacity of their buffers: VIRTIO 1.4, 2.6, 5.1.4.2 and 5.1.6.3.1. Part of
 * the NIC driver.
 * @module
 */

import { DriverError, type DriverTransport } from "@virtio-ts/virtio-driver";
import { MAX_QUEUE_SIZE } from "@virtio-ts/virtio-queue";
import { ETHERNET_HEADER, HDR_SIZE } from "../layout/index.ts";
import type { NetdevQueueInfo } from "./info.ts";
import type { OpenNic } from "./negotiation.ts";
import type { NetbufPool } from "./netbuf-pool.ts";

/** Bytes of the smallest allowed buffer if one buffer holds a frame: header and frame. */
const BUFFER_MIN = HDR_SIZE + 1514;

/** Limits of queue `id`, the device's queue `index`. @throws DriverError `invalid` */
export function queueInfo(transport: DriverTransport, nic: OpenNic, id: number, index: number): NetdevQueueInfo {
  if (!Number.isInteger(id) || id < 0 || id >= nic.maxPairs) {
    throw new DriverError("invalid", `queue ${id} of ${nic.maxPairs}`);
  }
  const size = Math.min(transport.queueMaxSize(index), MAX_QUEUE_SIZE);
  if (size < 1) throw new DriverError("invalid", `queue ${id} is not available`);
  const max = 2 ** Math.floor(Math.log2(size));
  const fixed = transport.legacyPlacement?.fixedSize === true;
  return { min: fixed ? max : nic.framing.headerApart ? 2 : 1, max, powerOfTwo: true };
}

/** The checked number of entries. @throws DriverError `too-many-entries`, `invalid` */
export function checkEntries({ min, max }: NetdevQueueInfo, entries: number, name: string): number {
  if (entries > max) throw new DriverError("too-many-entries", `${name} of ${entries} entries, above ${max}`);
  const size = entries === 0 ? max : entries;
  if (!Number.isInteger(Math.log2(size)) || size < min) {
    throw new DriverError("invalid", `${name} of ${entries} entries: no power of two from ${min} to ${max}`);
  }
  return size;
}

/** Checks that a receive queue has large enough buffers, and enough of them. @throws DriverError `invalid` */
export function checkCapacity({ framing, maxMtu }: OpenNic, entries: number, pool: NetbufPool, name: string): void {
  const { headerSize, headerApart, mergeable } = framing;
  const buffer = headerSize + pool.capacity;
  const frame = headerSize + ETHERNET_HEADER + maxMtu;
  const buffers = headerApart ? entries / 2 : entries;
  const enough = mergeable ? buffer * buffers >= frame : buffer >= Math.max(frame, BUFFER_MIN);
  if (!enough || pool.capacity < ETHERNET_HEADER) {
    throw new DriverError("invalid", `${name}: ${buffers} buffers of ${buffer} bytes for a frame of ${frame}`);
  }
}
