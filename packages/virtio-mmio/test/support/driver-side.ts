/**
 * A device behind registers, and our driver half on it: each access is written down, and may be lied about.
 * @module
 */

import { FlexibleDevice, ManualScheduler, type RecordingDevice } from "@virtio-ts/virtio-device/testing";
import { DriverDevice, type FeatureRequest, ProcessHost, type RegisterAccess } from "@virtio-ts/virtio-driver";
import { ManualClock } from "@virtio-ts/virtio-driver/testing";
import type { AccessWidth } from "@virtio-ts/vm-device";
import { GuestMemory } from "@virtio-ts/vm-memory";
import {
  connectMmio,
  type MmioPlace,
  type MmioTransport,
  VirtioMmioDevice,
  type VirtioMmioOptions,
} from "../../src/index.ts";

/** One access to a register. */
export interface Access {
  readonly write: boolean;
  readonly offset: number;
  readonly width: AccessWidth;
  readonly value: number;
}

/** Where the registers are. */
export const PLACE: MmioPlace = { address: 0x0a00_0200, line: 7 };

/** The machine around the device. */
export class DriverSide implements RegisterAccess {
  readonly clock: ManualClock = new ManualClock();
  readonly memory: GuestMemory = GuestMemory.of(new Uint8Array(0x10_0000));
  readonly host: ProcessHost = new ProcessHost(this.memory, { clock: this.clock });
  readonly device: RecordingDevice;
  readonly mmio: VirtioMmioDevice;
  readonly accesses: Access[] = [];
  /** What a register reads, in place of its value. */
  onRead: (access: Access) => number = ({ value }) => value;
  /** Whether a write reaches its register. */
  onWrite: (access: Access) => boolean = () => true;

  constructor(
    options: Partial<VirtioMmioOptions> = {},
    device: RecordingDevice = new FlexibleDevice({ deviceType: 4, queues: [16, 32], configSize: 24 }),
  ) {
    this.device = device;
    this.mmio = new VirtioMmioDevice(device, {
      memory: this.memory,
      scheduler: new ManualScheduler(),
      line: {
        raise: () => this.host.lines.setLevel(PLACE.line, true),
        lower: () => this.host.lines.setLevel(PLACE.line, false),
      },
      ...options,
    });
  }

  read(address: number, width: AccessWidth): number {
    const offset = address - PLACE.address;
    const inside = offset >= 0 && offset + width <= this.mmio.size;
    const access = {
      write: false,
      offset,
      width,
      value: inside ? this.mmio.read(offset, width) : 2 ** (8 * width) - 1,
    };
    this.accesses.push(access);
    return this.onRead(access);
  }

  write(address: number, width: AccessWidth, value: number): void {
    const access = { write: true, offset: address - PLACE.address, width, value };
    this.accesses.push(access);
    if (this.onWrite(access)) this.mmio.write(access.offset, width, value);
  }

  /** @throws DriverError */
  connect(): MmioTransport {
    return connectMmio(this.host, this, PLACE);
  }

  /** Brings the device to life, with as many queues. */
  async start(features: FeatureRequest = {}, queues = this.device.queueMaxSizes.length): Promise<DriverDevice> {
    const driver = await DriverDevice.open(this.connect(), this.host);
    await driver.negotiate(features);
    await driver.bindInterrupts(queues);
    for (let index = 0; index < queues; index++) await driver.createQueue(index);
    await driver.start();
    return driver;
  }

  /** Values written to a register. */
  written(offset: number): number[] {
    return this.accesses.filter((access) => access.write && access.offset === offset).map(({ value }) => value);
  }
}
