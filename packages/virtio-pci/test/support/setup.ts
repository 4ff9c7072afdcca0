/**
 * A machine with a recording device in it, and the guest that has found it.
 * @module
 */

import type { DeviceFault } from "@virtio-ts/virtio-device";
import { RecordingDevice } from "@virtio-ts/virtio-device/testing";
import { VirtioPciDevice, type VirtioPciOptions } from "../../src/index.ts";
import { Guest } from "./guest.ts";
import { Machine, type Slot } from "./machine.ts";

/** All a test needs to see. */
export interface Setup {
  readonly machine: Machine;
  readonly device: RecordingDevice;
  readonly fn: VirtioPciDevice;
  readonly slot: Slot;
  readonly guest: Guest;
  readonly faults: DeviceFault[];
}

/** Puts a device into a machine. */
export function setup(
  options: Partial<VirtioPciOptions> = {},
  device: RecordingDevice = new RecordingDevice({ features: 0x21n, configSize: 12 }),
  machine: Machine = new Machine(),
  messages = true,
): Setup {
  const faults: DeviceFault[] = [];
  const fn = new VirtioPciDevice(device, {
    memory: machine.memory,
    scheduler: machine.scheduler,
    onFault: (fault) => faults.push(fault),
    ...options,
  });
  const slot = machine.plug(fn, messages);
  return { machine, device, fn, slot, guest: new Guest(machine, fn), faults };
}

/** A second device on the same bus, and the check that it is as good as new: it comes up, is kicked, interrupts. */
export function bystander(machine: Machine): () => void {
  const other = setup({}, new RecordingDevice(), machine);
  return () => {
    other.guest.status = 0;
    other.guest.goLive();
    other.guest.kick(1);
    other.device.context?.queues[1]?.notifier.notify();
    const isr = other.guest.read(3, 0, 1);
    const seen = { status: other.guest.status, last: other.device.events.at(-1), isr, faults: other.faults };
    if (JSON.stringify(seen) !== '{"status":15,"last":"notify 1","isr":1,"faults":[]}') {
      throw new Error(`the other device suffered: ${JSON.stringify(seen)}`);
    }
  };
}
