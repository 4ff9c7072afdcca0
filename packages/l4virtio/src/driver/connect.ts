/**
 * Finds the config page, and checks that it is a virtio device's and consistent. For the driver half.
 * @module
 */

import { DriverError } from "@virtio-ts/virtio-driver";
import { ConfigPage } from "../layout/config-page.ts";
import { L4_ENOSYS, type L4Error, l4ResultName } from "../layout/errors.ts";
import {
  CONFIG_PAGE_SIZE,
  DEVICE_CONFIG,
  DEVICE_ID,
  type HeaderLayout,
  MAGIC,
  MAGIC_VALUE,
  NUM_QUEUES,
  QUEUES_OFFSET,
  VERSION,
  VERSION_VALUE,
} from "../layout/header.ts";
import type { ConfigDataspace, L4Ipc, L4Irq } from "../layout/objects.ts";
import { QUEUE_ENTRY_SIZE, type QueuePlacement } from "../layout/queue-entry.ts";
import type { DeviceLink } from "./device-link.ts";

/** The one IRQ object in each direction of a device that is found by REGISTER_IFACE. */
export interface OnlyIrqs {
  /** With which the driver notifies the device of everything. */
  readonly device: L4Irq;
  /** Called when the device signals. */
  handler: () => void;
}

/** A device's config page, and its IRQ objects if they came with it. */
export interface Found {
  readonly location: ConfigDataspace;
  /** `null`: the device is asked for each of its IRQ objects, and given each of the driver's. */
  readonly irqs: OnlyIrqs | null;
}

/**
 * Asks for the config page: with DEVICE_CONFIG, or with REGISTER_IFACE if the device does not know that.
 * @throws DriverError `refused`, `timeout`, `device-gone`
 */
export async function find(ipc: L4Ipc, link: DeviceLink): Promise<Found> {
  const location = await link.answer("the config page", ipc.deviceConfig());
  if (typeof location !== "number") return { location, irqs: null };
  if (location !== L4_ENOSYS) throw refused(location);
  let irqs: OnlyIrqs | null = null;
  const registered = await link.answer(
    "the config page",
    ipc.registerIface(() => irqs?.handler()),
  );
  if (typeof registered === "number") throw refused(registered);
  irqs = { device: registered.irq, handler: () => {} };
  return { location: registered, irqs };
}

function refused(result: L4Error): DriverError {
  return new DriverError("refused", `the config page: the device answered ${l4ResultName(result)}`);
}

/**
 * Attaches the config page.
 * @throws DriverError `bad-device`, `not-supported`
 */
export function attachPage({ dataspace, offset }: ConfigDataspace, header: HeaderLayout): ConfigPage {
  let page: ConfigPage;
  try {
    page = new ConfigPage(dataspace.subarray(offset), header);
  } catch (cause) {
    const message = `no config page is at offset ${offset} of ${dataspace.length} bytes`;
    throw new DriverError("bad-device", message, { cause });
  }
  const magic = page.load(MAGIC);
  if (magic !== MAGIC_VALUE) throw new DriverError("bad-device", `the magic number is 0x${magic.toString(16)}`);
  const version = page.load(VERSION);
  if (version !== VERSION_VALUE) throw new DriverError("not-supported", `the version is ${version}, not 2`);
  if (page.load(DEVICE_ID) === 0) throw new DriverError("bad-device", "the device id is 0: there is no device");
  return page;
}

/**
 * The place of the queue entries.
 * @throws DriverError `bad-device` if it is invalid
 */
export function readPlacement(page: ConfigPage): QueuePlacement {
  const offset = page.load(QUEUES_OFFSET);
  const count = page.load(NUM_QUEUES);
  if (count === 0) return { offset, count };
  if (offset < DEVICE_CONFIG || offset % 8 !== 0 || offset + count * QUEUE_ENTRY_SIZE > CONFIG_PAGE_SIZE) {
    throw new DriverError("bad-device", `${count} queue entries at 0x${offset.toString(16)} of the config page`);
  }
  return { offset, count };
}
