/**
 * A device of one's own, its driver, and a machine with both: a thermometer. It has a configuration field that the driver
 * writes, a feature, a queue of requests, and events that nobody asked for.
 */
import { feature } from "@virtio-ts/virtio-bindings";
import {
  type ActivationContext,
  type ActiveQueue,
  type ConfigError,
  ConfigSpace,
  type DeviceFault,
  describe,
  QueueWorker,
  type VirtioDevice,
} from "@virtio-ts/virtio-device";
import { connectFirst, DriverDevice, type DriverHost, ProcessHost, RequestQueue } from "@virtio-ts/virtio-driver";
import { PciConfigPorts, PciFinder } from "@virtio-ts/virtio-pci/driver";
import { BufferElements, ChainBurst } from "@virtio-ts/virtio-queue";
import { GuestMemory } from "@virtio-ts/vm-memory";
import { Machine, onPci } from "@virtio-ts/vmm-glue";

// What both sides share: a device's chapter of the standard would say this.
const TYPE = 63; // no device of the standard has it
const F_ALERTS = 0; // feature bit: the device tells when it gets too hot
const CONFIG_LIMIT = 0; // configuration: 32 bits, degrees, written by the driver
const REQUESTS = 0; // queue: the device writes 32 bits, degrees
const EVENTS = 1; // queue: the same, when the limit is passed

/** The device. */
export class Thermometer implements VirtioDevice {
  readonly deviceType = TYPE;
  readonly queueMaxSizes = [16, 16];
  readonly features = feature(F_ALERTS);
  readonly configSize = 4;
  readonly #config = new ConfigSpace(4, [[CONFIG_LIMIT, 4]]);
  readonly #bytes = new Uint8Array(4);
  #degrees = 20;
  #context: ActivationContext | null = null;
  #requests: QueueWorker | null = null;
  #events: ActiveQueue | null = null;

  readConfig(offset: number, data: Uint8Array): ConfigError | null {
    return this.#config.read(offset, data);
  }

  writeConfig(offset: number, data: Uint8Array): ConfigError | null {
    return this.#config.write(offset, data);
  }

  /** The driver has set DRIVER_OK. */
  activate(context: ActivationContext): void {
    this.#context = context;
    this.#requests = new QueueWorker(context, REQUESTS, (burst, i) => this.#fill(burst, i));
  }

  startQueue(active: ActiveQueue): void {
    if (active.index === EVENTS) this.#events = active;
  }

  /** Reset alone, suspended, or without access to memory: no event goes out any more. Requests hold no buffer. */
  stopQueue(index: number): void {
    if (index === EVENTS) this.#events = null;
  }

  queueNotify(index: number): void {
    if (index === REQUESTS) this.#requests?.run();
  }

  reset(): void {
    this.#context = null;
    this.#requests = null;
    this.#events = null;
  }

  /** What the world does: the temperature changes. */
  set degrees(degrees: number) {
    const limit = this.#config.view.getUint32(CONFIG_LIMIT, true);
    const passes = this.#degrees <= limit && degrees > limit;
    this.#degrees = degrees;
    if (passes && this.#context?.has(F_ALERTS)) this.#alert(this.#context);
  }

  /** An event goes into a buffer that the driver has left for it; without one it is lost. */
  #alert({ memory }: ActivationContext): void {
    const { queue, notifier } = this.#events ?? {};
    const burst = new ChainBurst(memory);
    if (queue === undefined || queue.pop(burst, 1) !== 1) return;
    queue.push(burst.heads[0], this.#fill(burst, 0));
    if (queue.flush()) notifier?.notify();
  }

  /** @returns bytes written */
  #fill(burst: ChainBurst, i: number): number {
    new DataView(this.#bytes.buffer).setUint32(0, this.#degrees, true);
    return burst.copyIn(i, 0, this.#bytes, 0, 4);
  }
}

/** The driver. */
export class ThermometerDriver {
  readonly #device: DriverDevice;
  readonly #requests: RequestQueue;
  readonly #buffer: number;

  private constructor(device: DriverDevice, requests: RequestQueue) {
    this.#device = device;
    this.#requests = requests;
    this.#buffer = device.host.dma.allocate(8, 8);
  }

  /** @param onAlert told of each temperature above `limit` */
  static async open(
    device: DriverDevice,
    limit: number,
    onAlert: (degrees: number) => void,
  ): Promise<ThermometerDriver> {
    await device.negotiate({ wanted: feature(F_ALERTS) });
    await device.bindInterrupts(2);
    const driver = new ThermometerDriver(device, await RequestQueue.create(device, REQUESTS));
    const events = await RequestQueue.create(device, EVENTS);
    device.config.write32(CONFIG_LIMIT, limit);
    await device.start();
    void driver.#listen(events, onAlert);
    return driver;
  }

  /** Asks for the temperature. */
  async read(): Promise<number> {
    await this.#requests.submit(new BufferElements().writable(this.#buffer, 4));
    return this.#device.host.memory.readU32(this.#buffer);
  }

  async #listen(events: RequestQueue, onAlert: (degrees: number) => void): Promise<void> {
    const at = this.#buffer + 4;
    try {
      for (;;) {
        await events.submit(new BufferElements().writable(at, 4));
        onAlert(this.#device.host.memory.readU32(at));
      }
    } catch {
      // The device was closed.
    }
  }
}

/** A machine in which both are, without an emulator. */
export async function thermometerMachine(
  limit: number,
  onAlert: (degrees: number) => void,
  onFault: (fault: DeviceFault) => void,
): Promise<{ thermometer: Thermometer; driver: ThermometerDriver; text: () => string; close: () => Promise<void> }> {
  const memory = GuestMemory.of(new Uint8Array(2 ** 20));
  const host: DriverHost & ProcessHost = new ProcessHost(memory);
  const machine = new Machine({ memory, controller: host.lines, msi: host.messages });
  const thermometer = new Thermometer();
  const { attachment } = machine.devices.add("temp0", thermometer, onPci(machine, { onFault }));
  const finder = new PciFinder(host, {
    config: new PciConfigPorts(machine.ports),
    ports: machine.ports,
    mmio: machine,
  });
  const device = await DriverDevice.open(connectFirst([finder], TYPE), host);
  const driver = await ThermometerDriver.open(device, limit, onAlert);
  const text = (): string => describe(attachment.transport.core, { [F_ALERTS]: "ALERTS" });
  return { thermometer, driver, text, close: () => device.close() };
}
