/**
 * The common configuration structure as registers over the state machine (VIRTIO 1.4, 4.1.4.3). A write takes effect
 * only at a field's own offset and width; a read of any width at any offset returns the bytes of the fields there.
 * @module
 */

import { VIRTIO_F_NOTIF_CONFIG_DATA, VIRTIO_F_RING_PACKED, VIRTIO_F_RING_RESET } from "@virtio-ts/virtio-bindings";
import { type AccessWidth, lowBytes, type RegisterBlock } from "@virtio-ts/vm-device";
import * as field from "../layout/common-config.ts";
import type { PciTransport } from "./transport.ts";

/** Offset and width of the field that covers each byte. */
const FIELD_START = new Uint8Array(field.COMMON_CONFIG_SIZE);
const FIELD_WIDTH = new Uint8Array(field.COMMON_CONFIG_SIZE);
for (let at = 0; at < field.COMMON_CONFIG_SIZE; at += FIELD_WIDTH[at]) {
  const bytes = at === field.DEVICE_STATUS || at === field.CONFIG_GENERATION;
  const words = at >= field.CONFIG_MSIX_VECTOR && (at < field.QUEUE_DESC || at >= field.QUEUE_NOTIF_CONFIG_DATA);
  const width = bytes ? 1 : words ? 2 : 4;
  FIELD_START.fill(at, at, at + width);
  FIELD_WIDTH.fill(width, at, at + width);
}

/** Index of the half of an area's address in a field; past the last half for other fields. */
const halfAt = (start: number): number => (start - field.QUEUE_DESC) >>> 2;

/** The common configuration registers. */
export class CommonConfig implements RegisterBlock {
  readonly size: number = field.COMMON_CONFIG_SIZE;
  readonly #transport: PciTransport;

  constructor(transport: PciTransport) {
    this.#transport = transport;
  }

  read(offset: number, width: AccessWidth): number {
    if (FIELD_START[offset] === offset && FIELD_WIDTH[offset] === width) return this.#get(offset);
    let value = 0;
    for (let i = width - 1; i >= 0; i--) value = value * 256 + this.#byte(offset + i);
    return value;
  }

  write(offset: number, width: AccessWidth, value: number): void {
    if (FIELD_START[offset] === offset && FIELD_WIDTH[offset] === width) this.#set(offset, lowBytes(value, width));
  }

  #byte(at: number): number {
    const start = FIELD_START[at] ?? at; // past the last field `#get` returns 0
    return (this.#get(start) >>> (8 * (at - start))) & 0xff;
  }

  #get(start: number): number {
    const { core, interrupts, deviceFeatureSelect, driverFeatureSelect } = this.#transport;
    switch (start) {
      case field.DEVICE_FEATURE_SELECT:
        return deviceFeatureSelect;
      case field.DEVICE_FEATURE:
        return core.deviceFeatures(deviceFeatureSelect);
      case field.DRIVER_FEATURE_SELECT:
        return driverFeatureSelect;
      case field.DRIVER_FEATURE:
        return core.features.writtenPage(driverFeatureSelect);
      case field.CONFIG_MSIX_VECTOR:
        return interrupts.configVector;
      case field.NUM_QUEUES:
        return core.queueCount;
      case field.DEVICE_STATUS:
        return core.status;
      case field.CONFIG_GENERATION:
        return this.#transport.presentGeneration();
      case field.QUEUE_SELECT:
        return core.queueSelect;
      case field.QUEUE_MSIX_VECTOR:
        return this.#transport.queueVector;
      default:
        return this.#getQueue(start);
    }
  }

  #getQueue(start: number): number {
    const { core } = this.#transport;
    const queue = core.selectedQueue;
    if (queue === null) return 0;
    switch (start) {
      case field.QUEUE_SIZE:
        return queue.maxSize === 0 ? 0 : queue.size;
      case field.QUEUE_ENABLE:
        return queue.enabled ? 1 : 0;
      case field.QUEUE_NOTIFY_OFF:
        return core.queueSelect;
      case field.QUEUE_NOTIF_CONFIG_DATA:
        return core.has(VIRTIO_F_NOTIF_CONFIG_DATA) ? core.queueSelect : 0;
      case field.QUEUE_RESET:
        return queue.resetting ? 1 : 0;
      default:
        return queue.halves[halfAt(start)] ?? 0; // 0: fields of administration virtqueues, which are not offered
    }
  }

  #set(start: number, value: number): void {
    const transport = this.#transport;
    const { core } = transport;
    switch (start) {
      case field.DEVICE_FEATURE_SELECT:
        transport.deviceFeatureSelect = value;
        break;
      case field.DRIVER_FEATURE_SELECT:
        transport.driverFeatureSelect = value;
        break;
      case field.DRIVER_FEATURE:
        core.writeDriverFeatures(transport.driverFeatureSelect, value);
        break;
      case field.CONFIG_MSIX_VECTOR:
        transport.mapConfigVector(value);
        break;
      case field.DEVICE_STATUS:
        transport.writeStatus(value, false);
        break;
      case field.QUEUE_SELECT:
        core.queueSelect = value;
        break;
      case field.QUEUE_MSIX_VECTOR:
        transport.mapQueueVector(value);
        break;
      default:
        this.#setQueue(start, value);
    }
  }

  #setQueue(start: number, value: number): void {
    const { core } = this.#transport;
    const queue = core.selectedQueue;
    if (start === field.QUEUE_RESET && value === 1 && core.has(VIRTIO_F_RING_RESET)) core.resetQueue();
    if (queue === null || !core.queueWritable) return;
    if (start === field.QUEUE_SIZE) {
      if (this.#sizePossible(value, queue.maxSize)) queue.size = value;
    } else if (start === field.QUEUE_ENABLE) {
      if (value === 1) core.enableQueue();
    } else {
      queue.halves[halfAt(start)] = value; // read-only fields have no half: the write is ignored
    }
  }

  /** Whether a size is valid. An invalid one is ignored, so that `queue_size` never reads as one (4.1.4.3.1). */
  #sizePossible(size: number, maxSize: number): boolean {
    if (size === 0 || size > maxSize) return false;
    return this.#transport.core.has(VIRTIO_F_RING_PACKED) || (size & (size - 1)) === 0;
  }
}
