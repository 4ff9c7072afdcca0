/**
 * A virtio NIC in a v86 emulator in one call: the network device (VIRTIO 1.4, 5.1), over PCI (4.1) in a slot of the
 * emulator's bus, or over MMIO (4.2) at an address that the guest is told; connected to a backend. For authors of
 * emulator pages.
 * @module
 */

import { connect, type Link, type NetBackend } from "@virtio-ts/net-link";
import { type DeviceCore, type DeviceCoreOptions, type DeviceFault, isDeviceError } from "@virtio-ts/virtio-device";
import { VirtioMmioDevice } from "@virtio-ts/virtio-mmio/device";
import { NetDevice, type NetDeviceOptions } from "@virtio-ts/virtio-net";
import { VirtioPciDevice } from "@virtio-ts/virtio-pci";
import type { V86Emulator } from "./cpu.ts";
import { V86Error } from "./errors.ts";
import { attachToV86, V86Machine, type V86Plugged, type V86PlugOptions } from "./machine.ts";

/** Options of a NIC over either transport. */
interface AnyNicOptions extends NetDeviceOptions {
  /**
   * The destination of its frames: a user-mode network, a port of a switch, any `NetBackend`. Without one the NIC has
   * no link until one is connected to {@link Nic.device}. The NIC takes the backend's MAC and MTU, if any, unless
   * others are given.
   */
  readonly backend?: NetBackend;
  /** Ring and transport features to offer, as in `DeviceCoreOptions` of @virtio-ts/virtio-device. */
  readonly ringFeatures?: bigint;
  /**
   * Called with each fault that sets DEVICE_NEEDS_RESET. Without it, faults of the NIC and its backend go to the
   * machine's `onError`; faults of the guest only show in {@link Nic.core}'s counters.
   */
  readonly onFault?: (fault: DeviceFault) => void;
}

/** Options of a NIC on the PCI bus. */
export interface PciNicOptions extends AnyNicOptions, V86PlugOptions {
  /**
   * Interfaces to offer: `modern` (VIRTIO 1.x, the default), `legacy`, or `transitional` for both. Linux drives all of
   * them.
   */
  readonly transport?: "modern" | "transitional" | "legacy";
  /**
   * The kind of interrupt. By default messages (MSI-X) if the machine takes them, which needs an emulator created with
   * `acpi: true`; otherwise its interrupt pin.
   */
  readonly interrupt?: "msix" | "intx";
  /** Kind of the BAR of its modern registers: `memory` by default. */
  readonly bar?: "memory" | "io";
}

/**
 * Options of a NIC over MMIO. A guest cannot discover it: it is told the address and the line, for example by an ACPI
 * table.
 */
export interface MmioNicOptions extends AnyNicOptions {
  /** The interface to offer: version 2 of the registers, or legacy version 1. */
  readonly transport: "mmio" | "mmio-legacy";
  /** Physical address of its registers, a page; {@link MMIO_NIC_ADDRESS} by default. */
  readonly address?: number;
  /** Its interrupt line, level-triggered, active high; {@link MMIO_NIC_LINE} by default. */
  readonly line?: number;
}

/** Options of a NIC. */
export type NicOptions = PciNicOptions | MmioNicOptions;

/** Default address of the registers of a NIC over MMIO: between the I/O APIC and the local APIC. */
export const MMIO_NIC_ADDRESS = 0xfed8_0000;
/** Default interrupt line of a NIC over MMIO: nothing else in v86 uses it. */
export const MMIO_NIC_LINE = 7;

/** A NIC over either transport. */
interface AnyNic {
  /** Its machine. */
  readonly machine: V86Machine;
  /** The network device, with its counters. It is one end of a link, to connect another backend to. */
  readonly device: NetDevice;
  /** The state of the device: status, negotiated features, counters. */
  readonly core: DeviceCore;
  /** The link to the backend; `null` without one. */
  readonly link: Link | null;
  /**
   * The state of the NIC and of its driver's use of it, as plain data. It belongs with a state of the emulator of the
   * same moment: while the emulator is stopped, call `emulator.save_state()` next, in the same turn of the event loop.
   */
  save(): unknown;
  /**
   * Restores what {@link save} returned. The emulator must be stopped, with its state of the same moment restored, and
   * this must be a new NIC with the same options, at the same place. When the emulator runs, both continue. The backend
   * decides whether connections to the network survive.
   * @throws RestoreError for anything but the state of such a NIC; nothing is then changed
   */
  restore(state: unknown): void;
  /** Removes the NIC for good, and disconnects the backend. Let the guest detach from the device first. */
  remove(): Promise<void>;
}

/** A NIC on the PCI bus. */
export interface PciNic extends AnyNic {
  /** Its PCI function. */
  readonly pci: VirtioPciDevice;
  /** Its place on the bus. */
  readonly plugged: V86Plugged;
}

/** A NIC over MMIO. */
export interface MmioNic extends AnyNic {
  /** Its registers. */
  readonly mmio: VirtioMmioDevice;
  /** Their physical address. */
  readonly address: number;
  /** Its interrupt line. */
  readonly line: number;
}

/** A NIC in an emulator. */
export type Nic = PciNic | MmioNic;

/**
 * Adds a NIC to an emulator.
 *
 * ```ts
 * const nic = addNic(emulator, { backend: new UserNetwork() });
 * ```
 * @param target an emulator, after its event `emulator-loaded`, or the machine made from it
 * @throws V86Error `not-loaded`, `unsupported-version`, `slot-taken`, `no-slot`, `no-msi`, `address-taken`, `no-line`;
 * NetConfigError
 */
export function addNic(target: V86Emulator | V86Machine, options?: PciNicOptions): PciNic;
export function addNic(target: V86Emulator | V86Machine, options: MmioNicOptions): MmioNic;
export function addNic(target: V86Emulator | V86Machine, options?: NicOptions): Nic;
export function addNic(target: V86Emulator | V86Machine, options: NicOptions = {}): Nic {
  const machine = target instanceof V86Machine ? target : attachToV86(target);
  return isMmio(options) ? addMmioNic(machine, options) : addPciNic(machine, options);
}

function isMmio(options: NicOptions): options is MmioNicOptions {
  return options.transport === "mmio" || options.transport === "mmio-legacy";
}

function addPciNic(machine: V86Machine, options: PciNicOptions): PciNic {
  const interrupt = options.interrupt ?? (machine.hasMsi ? "msix" : "intx");
  if (interrupt === "msix" && !machine.hasMsi) {
    throw new V86Error("no-msi", "MSI-X needs a local APIC: make the emulator with `acpi: true`, or take `intx`");
  }
  const device = netDevice(options);
  const pci = new VirtioPciDevice(device, {
    ...coreOptions(machine, options),
    mode: options.transport ?? "modern",
    interrupt,
    bar: options.bar ?? "memory",
    // One for configuration changes and one for both queues, so that a guest with one processor is interrupted once for
    // an answer and the completion of its request, not twice.
    vectors: 2,
  });
  const [link, plugged] = join(machine, options, device, () =>
    machine.plugPci(pci, { name: "virtio-net", ...options }),
  );
  const save = (): unknown => pci.save();
  const restore = (state: unknown): void => pci.restore(state);
  const remove = async (): Promise<void> => {
    plugged.unplug();
    const removed = pci.remove();
    link?.disconnect();
    await removed;
  };
  return { machine, device, core: pci.core, link, pci, plugged, save, restore, remove };
}

function addMmioNic(machine: V86Machine, options: MmioNicOptions): MmioNic {
  const { address = MMIO_NIC_ADDRESS, line = MMIO_NIC_LINE } = options;
  const device = netDevice(options);
  const pin = machine.connectLine(line);
  const version = options.transport === "mmio" ? 2 : 1;
  try {
    const mmio = new VirtioMmioDevice(device, { ...coreOptions(machine, options), line: pin, version });
    const [link, mapping] = join(machine, options, device, () => machine.mapMmio(address, mmio));
    const save = (): unknown => mmio.save();
    const restore = (state: unknown): void => mmio.restore(state);
    const remove = async (): Promise<void> => {
      mapping.unmap();
      const removed = mmio.remove();
      link?.disconnect();
      await removed;
      pin.disconnect();
    };
    return { machine, device, core: mmio.core, link, mmio, address, line, save, restore, remove };
  } catch (cause) {
    pin.disconnect();
    throw cause;
  }
}

function netDevice(options: NicOptions): NetDevice {
  const mac = options.mac ?? options.backend?.mac;
  const mtu = options.mtu ?? options.backend?.mtu;
  return new NetDevice({
    // The guest runs in turns of the same event loop, so the frames of one turn are best sent together.
    transmit: "gathered",
    // The frames received during one turn must fit into the ring: v86's own has as many entries.
    queueSize: 1024,
    ...options,
    ...(mac && { mac }),
    ...(mtu !== undefined && { mtu }),
  });
}

function coreOptions({ memory, scheduler, report }: V86Machine, options: NicOptions): CoreOptions {
  const { ringFeatures } = options;
  const ofDevice = (fault: DeviceFault): void => {
    if (isDeviceError(fault)) report(fault);
  };
  const onFault = options.onFault ?? ofDevice;
  return { memory, scheduler, onFault, ...(ringFeatures !== undefined && { ringFeatures }) };
}

type CoreOptions = Pick<DeviceCoreOptions, "memory" | "scheduler" | "onFault" | "ringFeatures">;

/** Connects the NIC to its backend and plugs it in: both, or neither. */
function join<P>(
  machine: V86Machine,
  { backend }: NicOptions,
  device: NetDevice,
  plug: () => P,
): readonly [link: Link | null, plugged: P] {
  const link = backend === undefined ? null : connect(device, backend, { onError: machine.report });
  try {
    return [link, plug()];
  } catch (cause) {
    link?.disconnect();
    throw cause;
  }
}
