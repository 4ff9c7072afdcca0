/** A NIC and its driver in one process, over any transport: what the table of combinations is played on. */

import type { ConfigDataspace, L4Ipc } from "@virtio-ts/l4virtio";
import { directIpc, L4VirtioDevice } from "@virtio-ts/l4virtio/device";
import { L4DriverTransport } from "@virtio-ts/l4virtio/driver";
import { VIRTIO_ID_NET } from "@virtio-ts/virtio-bindings";
import type { DriverTransport, RegisterAccess } from "@virtio-ts/virtio-driver";
import { connectFirst, type DeviceFinder, ProcessHost } from "@virtio-ts/virtio-driver";
import { MmioFinder } from "@virtio-ts/virtio-mmio/driver";
import { NetDevice } from "@virtio-ts/virtio-net/device";
import { PciConfigPorts, PciFinder } from "@virtio-ts/virtio-pci/driver";
import { GuestMemory, MemoryRegion } from "@virtio-ts/vm-memory";
import { Machine, onMmio, onPci, TurnScheduler } from "../../src/index.ts";

const MAC = Uint8Array.of(0x52, 0x54, 0, 1, 2, 3);

/** The transports of the table, by name; L4's has no bus. */
export type TransportName = "pci modern" | "pci transitional as legacy" | "mmio 2" | "mmio 1" | "l4virtio";
export type InterruptName = "INTx" | "MSI-X";

/** What is saved of a device, and put into another one. */
interface Saved {
  save(): unknown;
  restore(state: unknown): void;
}

/** A device with its machine. */
interface Place {
  readonly state: Saved;
  readonly core: { readonly counters: { readonly faults: number } };
}

/** Memory is parted among the lives of drivers: what a dead one had is not given to its successor. */
const MEMORY_BYTES = 32 << 20;
const LIFE_BYTES = 8 << 20;

/** What all ways have in common: memory that outlives devices and drivers. */
export abstract class World {
  readonly memory: GuestMemory = new GuestMemory([new MemoryRegion(0, new Uint8Array(MEMORY_BYTES))]);
  host: ProcessHost;
  protected place!: Place;
  protected readonly ringFeatures: bigint;
  #lives = 0;

  constructor(ringFeatures: bigint) {
    this.ringFeatures = ringFeatures;
    this.host = this.#nextHost();
  }

  /** Faults of the device, in all its lives. */
  get faults(): number {
    return this.place.core.counters.faults;
  }

  /** Finds and connects the device, as a driver does that knows nothing of it. */
  abstract connect(): Promise<DriverTransport>;

  /** Makes a machine with a device in reset. */
  protected abstract build(): Place;

  /** The device moves: saved, sent as text, restored into a new one in a new machine. The driver does not notice. */
  migrate(): void {
    const saved = JSON.stringify(this.place.state.save());
    this.place = this.build();
    this.place.state.restore(JSON.parse(saved));
  }

  /** The driver dies without a word. What it had is still the device's; its successor gets other memory. */
  killDriver(): void {
    this.host = this.#nextHost();
  }

  #nextHost(): ProcessHost {
    const start = this.#lives++ * LIFE_BYTES;
    return new ProcessHost(this.memory, { dmaWindow: [Math.max(start, 0x1000), start + LIFE_BYTES] });
  }
}

/** A NIC whose frames come back to it. */
function loopedNic(): NetDevice {
  const nic = new NetDevice({ mac: MAC });
  nic.attach(nic);
  return nic;
}

/** PCI and MMIO, in a machine with a processor's way to registers, lines and messages. */
export class BusWorld extends World {
  readonly #transport: Exclude<TransportName, "l4virtio">;
  readonly #interrupt: InterruptName;
  #machine!: Machine;
  #finder!: () => DeviceFinder;

  constructor(transport: Exclude<TransportName, "l4virtio">, interrupt: InterruptName, ringFeatures: bigint) {
    super(ringFeatures);
    this.#transport = transport;
    this.#interrupt = interrupt;
    this.place = this.build();
  }

  async connect(): Promise<DriverTransport> {
    return connectFirst([this.#finder()], VIRTIO_ID_NET);
  }

  protected build(): Place {
    const machine = new Machine({
      memory: this.memory,
      controller: { setLevel: (line, up) => this.host.lines.setLevel(line, up) },
      msi: { send: (address, data) => this.host.messages.send(address, data) },
    });
    this.#machine = machine;
    return this.#transport.startsWith("pci") ? this.#onPci(machine) : this.#onMmio(machine);
  }

  #onPci(machine: Machine): Place {
    const legacy = this.#transport !== "pci modern";
    const { transport } = machine.devices.add(
      "net0",
      loopedNic(),
      onPci(machine, {
        mode: legacy ? "transitional" : "modern",
        interrupt: this.#interrupt === "INTx" ? "intx" : "msix",
        ringFeatures: this.ringFeatures,
      }),
    ).attachment;
    this.#finder = () =>
      new PciFinder(this.host, {
        ports: this.#access((now) => now.ports),
        mmio: this.#access((now) => now.mmio),
        config: new PciConfigPorts(this.#access((now) => now.ports)),
        interface: legacy ? "legacy" : "modern",
      });
    return { state: transport, core: transport.core };
  }

  #onMmio(machine: Machine): Place {
    const version = this.#transport === "mmio 1" ? 1 : 2;
    const { transport, address, line } = machine.devices.add(
      "net0",
      loopedNic(),
      onMmio(machine, { version, ringFeatures: this.ringFeatures }),
    ).attachment;
    this.#finder = () =>
      new MmioFinder(
        this.host,
        this.#access((now) => now.mmio),
        [{ address, line }],
      );
    return { state: transport, core: transport.core };
  }

  /** Registers of whatever machine there is by then. */
  #access(space: (machine: Machine) => RegisterAccess): RegisterAccess {
    return {
      read: (address, width) => space(this.#machine).read(address, width),
      write: (address, width, value) => space(this.#machine).write(address, width, value),
    };
  }
}

/** L4-VIRTIO in one thread. What a kernel keeps over a device's move is kept here: its page, IRQ objects, dataspaces. */
export class L4World extends World {
  readonly #page: ConfigDataspace = { dataspace: new Uint8Array(0x1000), offset: 0 };
  readonly #bound = new Map<number, () => void>();
  #device!: L4VirtioDevice;

  constructor(ringFeatures: bigint) {
    super(ringFeatures);
    this.place = this.build();
  }

  connect(): Promise<DriverTransport> {
    return L4DriverTransport.connect(this.#ipc(), this.host);
  }

  protected build(): Place {
    const device = new L4VirtioDevice(loopedNic(), {
      scheduler: new TurnScheduler(),
      page: this.#page,
      ringFeatures: this.ringFeatures,
    });
    for (const [index, trigger] of this.#bound) device.icuBind(index, { trigger });
    this.#device = device;
    const restore = (state: unknown): void => device.restore(state, [this.memory.regions[0].u8]);
    return { state: { save: () => device.save(), restore }, core: device.core };
  }

  /** The driver's capability: it leads to whatever device there is by then. */
  #ipc(): L4Ipc {
    const now = (): L4Ipc => directIpc(this.#device);
    return {
      ...now(),
      setStatus: (status) => now().setStatus(status),
      configQueue: (queue) => now().configQueue(queue),
      deviceNotificationIrq: async (index) => {
        const irq = await now().deviceNotificationIrq(index);
        if (typeof irq === "number") return irq;
        return { trigger: () => void this.#trigger(index) };
      },
      icuBind: (index, handler) => {
        this.#bound.set(index, handler);
        return now().icuBind(index, handler);
      },
    };
  }

  #trigger(index: number): void {
    const irq = this.#device.deviceNotificationIrq(index);
    if (typeof irq !== "number") irq.trigger();
  }
}
