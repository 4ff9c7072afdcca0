/**
 * A recording device behind a function, and our driver half on it.
 * @module
 */

import { FlexibleDevice, ManualScheduler, type RecordingDevice } from "@virtio-ts/virtio-device/testing";
import { connectFirst, DriverDevice, type DriverTransport, type FeatureRequest } from "@virtio-ts/virtio-driver";
import { type PciFinderOptions, VirtioPciDevice, type VirtioPciOptions } from "../../src/index.ts";
import { type Access, DriverBus } from "./driver-bus.ts";

/** The BAR of the structures, and where each is in it. */
export const STRUCTURES = 2;
export const ISR = 0x1000;
export const CONFIG = 0x2000;
export const NOTIFY = 0x3000;

/** What a driver is on. */
export interface Driven {
  readonly bus: DriverBus;
  readonly device: RecordingDevice;
  readonly fn: VirtioPciDevice;
}

/** Puts a device on a bus. */
export function onBus(
  options: Partial<VirtioPciOptions> = {},
  device: RecordingDevice = new FlexibleDevice({ deviceType: 4, configSize: 12 }),
  bus: DriverBus = new DriverBus(),
): Driven {
  const fn = new VirtioPciDevice(device, { memory: bus.memory, scheduler: new ManualScheduler(), ...options });
  bus.plug(fn);
  return { bus, device, fn };
}

/** Finds and connects the device. */
export function connect({ bus, device }: Driven, options: Partial<PciFinderOptions> = {}): DriverTransport {
  return connectFirst([bus.finder(options)], device.deviceType);
}

/** Brings the device to life, with as many queues. */
export async function start(
  driven: Driven,
  options: Partial<PciFinderOptions> = {},
  features: FeatureRequest = {},
  queues = driven.device.queueMaxSizes.length,
): Promise<DriverDevice> {
  const device = await DriverDevice.open(connect(driven, options), driven.bus.host);
  await device.negotiate(features);
  await device.bindInterrupts(queues);
  for (let index = 0; index < queues; index++) await device.createQueue(index);
  await device.start();
  return device;
}

/** Accesses to the common configuration structure. */
export function common(bus: DriverBus): Access[] {
  return bus.accesses.filter(({ bar, offset }) => bar === STRUCTURES && offset < ISR);
}

/** Values written to one of its fields. */
export function written(bus: DriverBus, field: number): number[] {
  return common(bus)
    .filter(({ write, offset }) => write && offset === field)
    .map(({ value }) => value);
}
