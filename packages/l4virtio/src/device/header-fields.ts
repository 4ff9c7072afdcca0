/**
 * The device's fields in the header of the config page. Each reset writes them again, because the driver may have
 * overwritten them.
 * @module
 */

import type { ConfigPage } from "../layout/config-page.ts";
import {
  DEVICE_FEATURES,
  DEVICE_ID,
  GENERATION,
  IRQ_STATUS,
  MAGIC,
  MAGIC_VALUE,
  NUM_QUEUES,
  QUEUES_OFFSET,
  VENDOR_ID,
  VERSION,
  VERSION_VALUE,
} from "../layout/header.ts";
import type { QueuePlacement } from "../layout/queue-entry.ts";

/** Index of the device's IRQ object that stands for everything: the command field and all queues. */
export const MAIN_EVENT = 0;
/** Each word of the length and base of a missing shared memory region (VIRTIO 1.4, 4.2.2). */
const NO_REGION = 0xffff_ffff;

/** The device's values for a header. */
export interface HeaderFields {
  readonly deviceType: number;
  readonly vendor: number;
  /** The offered features, including the transport's own. */
  readonly features: bigint;
  readonly queues: QueuePlacement;
  readonly generation: number;
}

/** Writes the header, except the status, the command and the driver's fields. */
export function writeHeader(page: ConfigPage, fields: HeaderFields): void {
  const { deviceFeaturesMap, cfgDeviceNotifyIndex, sharedMemory } = page.header;
  page.store(MAGIC, MAGIC_VALUE);
  page.store(VERSION, VERSION_VALUE);
  page.store(DEVICE_ID, fields.deviceType);
  page.store(VENDOR_ID, fields.vendor);
  page.store(DEVICE_FEATURES, Number(BigInt.asUintN(32, fields.features)));
  page.store(NUM_QUEUES, fields.queues.count);
  page.store(QUEUES_OFFSET, fields.queues.offset);
  page.storeFeatures(deviceFeaturesMap, fields.features);
  page.store(cfgDeviceNotifyIndex, MAIN_EVENT);
  if (sharedMemory !== null) for (let word = 0; word < 4; word++) page.store(sharedMemory + 4 * word, NO_REGION);
  page.store(IRQ_STATUS, 0);
  page.store(GENERATION, fields.generation);
}
