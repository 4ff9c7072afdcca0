/**
 * A virtio device behind an L4-VIRTIO interface: a config page in shared memory, operations by IPC or by the page's
 * command field, IRQ objects both ways. For the server of the device's IPC.
 *
 * The driver can write the page at any time. The device's own state is in the state machine; the page only shows it.
 * @module
 */

import {
  feature,
  STATUS_ACKNOWLEDGE,
  STATUS_DEVICE_NEEDS_RESET,
  STATUS_DRIVER,
  STATUS_DRIVER_OK,
  STATUS_FAILED,
  STATUS_FEATURES_OK,
  VIRTIO_F_RING_RESET,
} from "@virtio-ts/virtio-bindings";
import {
  DeviceCore,
  DeviceFault,
  declaredQueueSizes,
  FEATURE_PAGES,
  missingOption,
  type VirtioDevice,
} from "@virtio-ts/virtio-device";
import type { GuestMemory } from "@virtio-ts/vm-memory";
import { ConfigPage } from "../layout/config-page.ts";
import { L4_EINVAL, L4_EIO, L4_EOK, L4_ERANGE, type L4Error, type L4Result, L4VirtioError } from "../layout/errors.ts";
import {
  CMD_CONFIG_BIT,
  CONFIG_PAGE_SIZE,
  DEVICE_CONFIG,
  headerLayout,
  STATUS,
  VENDOR_KERNKONZEPT,
} from "../layout/header.ts";
import type { ConfigDataspace, L4Irq, RegisteredInterface } from "../layout/objects.ts";
import { placeQueues } from "../layout/queue-entry.ts";
import { type CommandActions, CommandField } from "./command-field.ts";
import { Dataspaces } from "./dataspaces.ts";
import { DeviceConfig } from "./device-config.ts";
import { MAIN_EVENT, writeHeader } from "./header-fields.ts";
import { DriverIrqs } from "./interrupts.ts";
import type { L4VirtioDeviceOptions } from "./options.ts";
import { QueueEntries } from "./queue-entries.ts";
import { type L4VirtioState, parseL4State, restoreDataspaces } from "./saved-state.ts";

/** A virtio device behind an L4-VIRTIO interface. After construction only `restore` throws. */
export class L4VirtioDevice {
  /** The state machine, with its counters. */
  readonly core: DeviceCore;
  readonly #options: L4VirtioDeviceOptions;
  readonly #location: ConfigDataspace;
  readonly #page: ConfigPage;
  #dataspaces: Dataspaces;
  readonly #irqs: DriverIrqs;
  readonly #queues: QueueEntries;
  readonly #config: DeviceConfig;
  readonly #deviceIrqs: readonly L4Irq[];
  /** CMD_CONFIG's bit; 0 without a command field. */
  readonly #cmdConfigBit: number;
  /** `null` if the device is configured only by IPC. */
  readonly #commands: CommandField | null;

  /**
   * @throws L4VirtioError if the device or an option is missing, or does not fit; QueueConfigError `size` if the device
   * declares a queue of an invalid size: see `VirtioDevice.queueMaxSizes`
   */
  constructor(device: VirtioDevice, options: L4VirtioDeviceOptions) {
    const missing = missingOption({
      device: [device, "a VirtioDevice"],
      options: [options, "an object with scheduler"],
      "options.scheduler": [options?.scheduler, "a Scheduler"],
    });
    if (missing !== null) throw new L4VirtioError("option", missing);
    const { cmdConfigBit = CMD_CONFIG_BIT } = options;
    this.#options = options;
    this.#location = options.page ?? { dataspace: new Uint8Array(CONFIG_PAGE_SIZE), offset: 0 };
    this.#page = new ConfigPage(
      this.#location.dataspace.subarray(this.#location.offset),
      headerLayout(cmdConfigBit ?? CMD_CONFIG_BIT),
    );
    this.#cmdConfigBit = cmdConfigBit ?? 0;
    this.#commands = cmdConfigBit === null ? null : new CommandField(this.#page, this.#commandActions());
    this.#dataspaces = new Dataspaces(this.#maxDataspaces);
    const memory = (): GuestMemory => this.#dataspaces.memory;
    const queues = declaredQueueSizes(device, true).length;
    const events = options.events ?? queues + 1;
    if (!Number.isInteger(events) || events < 1 || events > 0x10000) {
      throw new L4VirtioError("events", `${events} IRQ objects, not 1 to 65536`);
    }
    this.#irqs = new DriverIrqs(this.#page, events, queues, () => this.#configChanged());
    this.core = new DeviceCore(device, {
      get memory(): GuestMemory {
        return memory(); // `restore` replaces it
      },
      scheduler: options.scheduler,
      interrupts: this.#irqs,
      ringFeatures: options.ringFeatures,
      transportFeatures: feature(VIRTIO_F_RING_RESET),
      liveQueues: true,
      onFault: (fault) => {
        this.#showStatus();
        options.onFault?.(fault);
      },
    });
    const configSize = this.core.config.size;
    if (DEVICE_CONFIG + configSize > CONFIG_PAGE_SIZE) {
      throw new L4VirtioError("config-size", `${configSize} bytes of configuration do not fit the config page`);
    }
    this.#config = new DeviceConfig(this.core.config, this.#page);
    this.#queues = new QueueEntries(this.core, this.#page, placeQueues(configSize, queues), this.#irqs);
    this.#deviceIrqs = Array.from({ length: events }, (_, index) => ({ trigger: () => this.#triggered(index) }));
    this.#writePage();
  }

  /**
   * Settles when the driver's request is done and shown in the page: a reset, a queue's reset or a suspension may take
   * time. The server of the IPC waits for it before it answers.
   */
  get settled(): Promise<void> {
    return this.core.settled.then(() => {
      this.#config.update();
      this.#showStatus();
    });
  }

  /** SET_STATUS: 0 resets; other values only add bits. */
  setStatus(status: number): L4Result {
    if (status !== status >>> 0) return L4_EINVAL;
    if (status === 0) this.#reset();
    else this.#advance(status);
    this.#showStatus();
    void this.settled;
    return L4_EOK;
  }

  /** CONFIG_QUEUE: configures a queue from its entry. */
  configQueue(queue: number): L4Result {
    const { status } = this.core;
    const known = STATUS_ACKNOWLEDGE | STATUS_DRIVER;
    const sound = (status & (STATUS_FAILED | STATUS_DEVICE_NEEDS_RESET)) === 0;
    if (sound && (status & known) === known) return this.#queues.configure(queue);
    this.#queues.showReady(queue);
    return L4_EIO;
  }

  /**
   * REGISTER_DS: `size` bytes of a dataspace, from `offset` on, are guest memory at `base`. All are multiples of 8.
   * @returns -L4_EINVAL, -L4_ERANGE for an offset past the end, -L4_ENOMEM for too many dataspaces, -L4_EBUSY for a
   * range that a live device already has
   */
  registerDs(dataspace: Uint8Array, base: number, offset: number, size: number): L4Result {
    const live = (this.core.status & STATUS_DRIVER_OK) !== 0;
    return this.#dataspaces.register(dataspace, base, offset, size, live);
  }

  /** DEVICE_CONFIG: the config page. */
  deviceConfig(): ConfigDataspace {
    return this.#location;
  }

  /** GET_DEVICE_IRQ: the object with which the driver notifies the device; the same object for the same index. */
  deviceNotificationIrq(index: number): L4Irq | L4Error {
    return this.#deviceIrqs[index] ?? L4_ERANGE;
  }

  /** REGISTER_IFACE: {@link icuBind}, {@link deviceNotificationIrq} and {@link deviceConfig} in one, for index 0. */
  registerIface(irq: L4Irq | null): RegisteredInterface | L4Error {
    if (irq === null) return L4_EINVAL;
    this.#irqs.bound[0] = irq;
    return { irq: this.#deviceIrqs[0], ...this.#location };
  }

  /** How many IRQ objects the driver can bind. */
  icuInfo(): number {
    return this.#irqs.bound.length;
  }

  /** The driver gives the device its IRQ object number `index`. The binding survives a reset. */
  icuBind(index: number, irq: L4Irq): L4Result {
    if (!Number.isInteger(index) || index < 0 || index >= this.#irqs.bound.length) return L4_ERANGE;
    this.#irqs.bound[index] = irq;
    return L4_EOK;
  }

  /** Takes the device out of service for good. */
  async remove(): Promise<void> {
    await this.core.remove();
    this.#showStatus();
  }

  /** The state of the device, the state machine and the transport, as plain data. */
  save(): L4VirtioState {
    return {
      version: 1,
      cmdConfigBit: this.#cmdConfigBit,
      dataspaces: this.#dataspaces.save(),
      driverIndices: [...this.#irqs.queueIndices],
      deviceIndices: [...this.#queues.deviceIndices],
      page: Array.from(this.#page.words),
      core: this.core.save(),
    };
  }

  /**
   * Restores state from {@link save} into a device in reset. A live device continues at once; every bound IRQ object is
   * signalled, because the driver may have missed a signal.
   * @param memory the dataspaces that the driver had registered, in the order of the saved state
   * @throws RestoreError if `state` is not the saved state of an identical device; nothing is changed then
   */
  restore(state: unknown, memory: readonly Uint8Array[]): void {
    const { queueCount: queues } = this.core;
    const saved = parseL4State(state, { cmdConfigBit: this.#cmdConfigBit, queues, events: this.icuInfo() });
    const before = this.#dataspaces;
    const indices = this.#irqs.queueIndices;
    this.#dataspaces = restoreDataspaces(saved.dataspaces, memory, this.#maxDataspaces);
    this.#irqs.queueIndices = [...saved.driverIndices];
    try {
      this.core.restore(saved.core);
    } catch (cause) {
      this.#dataspaces = before;
      this.#irqs.queueIndices = indices;
      throw cause;
    }
    this.#page.words.set(saved.page);
    this.#queues.restore(saved.deviceIndices);
    this.#config.restore();
    this.#writeHeader();
    this.#options.scheduler.defer(() => {
      this.#commands?.carryOut();
      for (const irq of this.#irqs.bound) irq?.trigger();
    });
  }

  get #maxDataspaces(): number {
    return this.#options.maxDataspaces ?? 64;
  }

  /** The driver has triggered IRQ object `index`. Many drivers use only object 0, for commands and all queues. */
  #triggered(index: number): void {
    if (index === MAIN_EVENT) this.#commands?.carryOut();
    for (let queue = 0; queue < this.core.queueCount; queue++) {
      const meant = index === MAIN_EVENT || this.#queues.deviceIndices[queue] === index;
      if (meant && this.core.queues[queue].enabled) this.core.notify(queue);
    }
  }

  #reset(): void {
    this.core.reset();
    this.core.config.changed();
    this.#writePage();
  }

  #advance(status: number): void {
    let wanted = status;
    const adds = (bit: number): boolean => (wanted & bit) !== 0 && (this.core.status & bit) === 0;
    // Features and queues are read from the page now. One write may take several steps.
    if (adds(STATUS_FEATURES_OK) && !this.#takeFeatures()) wanted &= ~(STATUS_FEATURES_OK | STATUS_DRIVER_OK);
    if (adds(STATUS_DRIVER_OK) && !this.#queues.configureReady()) {
      this.core.fail(new DeviceFault("queue-config", "DRIVER_OK with a queue entry that is not acceptable"));
    }
    if (wanted !== 0) this.core.writeStatus(wanted);
  }

  /** Reads the driver's features. @returns false if they have a bit of the transport that was not offered */
  #takeFeatures(): boolean {
    const features = this.#page.loadFeatures(this.#page.header.driverFeaturesMap);
    for (let page = 0; page < FEATURE_PAGES; page++) {
      this.core.writeDriverFeatures(page, Number(BigInt.asUintN(32, features >> BigInt(32 * page))));
    }
    return (features & ~this.#ownFeatures) >> BigInt(32 * FEATURE_PAGES) === 0n;
  }

  #commandActions(): CommandActions {
    return {
      setStatus: (status) => this.setStatus(status),
      configQueue: (queue) => this.configQueue(queue),
      configWritten: () => this.#config.take(),
      notifyQueue: (queue) => this.core.notify(queue),
      settled: () => this.settled,
    };
  }

  #configChanged(): void {
    this.#config.update();
    this.#showStatus();
  }

  #showStatus(): void {
    this.#page.store(STATUS, this.core.status);
  }

  /** The transport's own features, which the state machine does not know. */
  get #ownFeatures(): bigint {
    return this.#cmdConfigBit === 0 ? 0n : feature(this.#cmdConfigBit);
  }

  /** Writes the page's state after a reset, except the command field and the driver's choice of IRQ object. */
  #writePage(): void {
    this.#page.storeFeatures(this.#page.header.driverFeaturesMap, 0n);
    this.#queues.clear();
    this.#config.write();
    this.#writeHeader();
  }

  #writeHeader(): void {
    writeHeader(this.#page, {
      deviceType: this.core.device.deviceType,
      vendor: this.#options.vendor ?? VENDOR_KERNKONZEPT,
      features: this.core.features.offered | this.#ownFeatures,
      queues: this.#queues.placement,
      generation: this.core.configGeneration,
    });
    this.#showStatus();
  }
}
