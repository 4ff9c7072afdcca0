/**
 * A machine with a recording device behind the registers: memory, a line, and the guest.
 * @module
 */

import type { DeviceFault } from "@virtio-ts/virtio-device";
import { ManualScheduler, RecordingDevice } from "@virtio-ts/virtio-device/testing";
import type { InterruptLine } from "@virtio-ts/vm-device";
import { GuestMemory } from "@virtio-ts/vm-memory";
import { VirtioMmioDevice, type VirtioMmioOptions } from "../../src/index.ts";
import { Guest } from "./guest.ts";

/** Bytes of guest memory, from address 0. */
const MEMORY_SIZE = 0x1_0000;

/** A line whose level is seen. */
export class Line implements InterruptLine {
  level = false;
  /** How often it went up. */
  edges = 0;

  raise(): void {
    if (!this.level) this.edges++;
    this.level = true;
  }

  lower(): void {
    this.level = false;
  }
}

/** All a test needs to see. */
export interface Setup {
  readonly bytes: Uint8Array;
  readonly device: RecordingDevice;
  readonly mmio: VirtioMmioDevice;
  readonly scheduler: ManualScheduler;
  readonly line: Line;
  readonly guest: Guest;
  readonly faults: DeviceFault[];
}

/** Puts a device behind its registers. */
export function setup(
  options: Partial<VirtioMmioOptions> = {},
  device: RecordingDevice = new RecordingDevice({ features: 0x21n, configSize: 12 }),
): Setup {
  const bytes = new Uint8Array(MEMORY_SIZE);
  const scheduler = new ManualScheduler();
  const line = new Line();
  const faults: DeviceFault[] = [];
  const mmio = new VirtioMmioDevice(device, {
    memory: GuestMemory.of(bytes),
    scheduler,
    line,
    onFault: (fault) => faults.push(fault),
    ...options,
  });
  return { bytes, device, mmio, scheduler, line, guest: new Guest(mmio), faults };
}
