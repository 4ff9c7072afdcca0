/** A device behind its state machine, and what a driver does to bring it up. */
import { feature, VIRTIO_F_RING_RESET, VIRTIO_F_SUSPEND, VIRTIO_F_VERSION_1 } from "@virtio-ts/virtio-bindings";
import { type MockDriver, MockSplitDriver } from "@virtio-ts/virtio-queue/testing";
import { GuestMemory } from "@virtio-ts/vm-memory";
import {
  type ActivationContext,
  DeviceCore,
  type DeviceCoreOptions,
  type DeviceFault,
  QueueWorker,
  type VirtioDevice,
} from "../../src/index.ts";
import { CountingInterrupts, ManualScheduler, RecordingDevice } from "../../src/testing/index.ts";

export interface Rig<D extends VirtioDevice = RecordingDevice> {
  readonly device: D;
  readonly memory: GuestMemory;
  readonly scheduler: ManualScheduler;
  readonly interrupts: CountingInterrupts;
  readonly faults: DeviceFault[];
  readonly core: DeviceCore;
}

export function rig<D extends VirtioDevice>(device: D, options: Partial<DeviceCoreOptions> = {}): Rig<D> {
  const memory = options.memory ?? GuestMemory.of(new Uint8Array(0x2_0000));
  const scheduler = new ManualScheduler();
  const interrupts = new CountingInterrupts();
  const faults: DeviceFault[] = [];
  const onFault = (fault: DeviceFault): void => void faults.push(fault);
  const core = new DeviceCore(device, { memory, scheduler, interrupts, onFault, ...options });
  return { device, memory, scheduler, interrupts, faults, core };
}

/** RING_RESET and SUSPEND as a driver accepts them. */
export const FLEXIBLE: bigint = feature(VIRTIO_F_RING_RESET, VIRTIO_F_SUSPEND);
/** What a transport with a queue reset register says. */
export const RING_RESET: Partial<DeviceCoreOptions> = { transportFeatures: feature(VIRTIO_F_RING_RESET) };

type Any = Rig<VirtioDevice>;

/** Up to FEATURES_OK, with VERSION_1 and these features. */
export function negotiate({ core }: Any, features = 0n): void {
  core.writeStatus(1);
  core.writeStatus(3);
  core.writeDriverFeatures(0, Number(features & 0xffff_ffffn));
  core.writeDriverFeatures(1, Number((features | feature(VIRTIO_F_VERSION_1)) >> 32n));
  core.writeStatus(11);
}

/** Sets a queue up and enables it, where a mock driver has it or in a place of its own. */
export function enableQueue({ core }: Any, index = 0, driver?: MockDriver): void {
  const base = 0x1000 * (index + 1);
  const at = driver?.areas ?? { size: 16, descriptorArea: base, driverArea: base + 0x400, deviceArea: base + 0x800 };
  core.queueSelect = index;
  const queue = core.selectedQueue;
  if (queue !== null && core.queueWritable) {
    queue.size = at.size;
    queue.setAddress(0, at.descriptorArea);
    queue.setAddress(1, at.driverArea);
    queue.setAddress(2, at.deviceArea);
  }
  core.enableQueue();
}

/** Live, with two queues. */
export function goLive(s: Any, features = 0n, drivers: readonly MockDriver[] = []): void {
  negotiate(s, features);
  for (const index of [0, 1]) enableQueue(s, index, drivers[index]);
  s.core.writeStatus(15);
}

/** A device of queue workers that answer each chain with one byte, and have nothing to do when a queue goes. */
export class WorkingDevice extends RecordingDevice {
  /** Heads handled, by queue. */
  readonly handled: [number[], number[]] = [[], []];
  #workers: readonly QueueWorker[] = [];

  override activate(context: ActivationContext): void {
    super.activate(context);
    this.#workers = this.handled.map((handled, index) => {
      return new QueueWorker(context, index, (burst, i) => {
        handled.push(burst.heads[i]);
        return burst.copyIn(i, 0, Uint8Array.of(7), 0, 1);
      });
    });
  }
  override queueNotify(index: number): void {
    this.#workers[index]?.run();
  }
  override reset(): void | Promise<void> {
    this.#workers = [];
    return super.reset();
  }
  stopQueue(): void {}
}

/** A live device of workers, its two queues with their drivers. */
export function working(size = 16, options: Partial<DeviceCoreOptions> = RING_RESET) {
  const s = rig(new WorkingDevice({ queues: [size, size] }), options);
  const drivers = [0, 1].map((index) => new MockSplitDriver(s.memory, { size, base: 0x1000 + index * 0x8000 }));
  goLive(s, FLEXIBLE, drivers);
  const offer = (count: number, driver: MockDriver = drivers[0]): void => {
    for (let i = 0; i < count; i++) driver.offer([{ length: 4, writable: true }]);
  };
  return { ...s, drivers, offer };
}

/** A promise that is settled from outside. */
export function later(): { promise: Promise<void>; done: () => void; fail: (cause: unknown) => void } {
  let done = (): void => {};
  let fail = (_: unknown): void => {};
  const promise = new Promise<void>((resolve, reject) => {
    done = resolve;
    fail = reject;
  });
  return { promise, done, fail };
}

/** Lets promises that have settled take effect. */
export const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
