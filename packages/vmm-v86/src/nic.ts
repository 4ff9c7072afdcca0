/**
 * A virtio NIC in a v86 emulator by one call: the network device (VIRTIO 1.4, 5.1) on virtio over PCI (4.1), in a slot
 * of the emulator's bus, or over MMIO (4.2), at an address that the guest is told of; joined to a backend. For authors
 * of emulator pages.
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

/** What a NIC is made with, whatever it is put on. */
interface AnyNicOptions extends NetDeviceOptions {
  /**
   * Where its frames go: a user-mode network, a port of a switch, anything that is a `NetBackend`. Without one the NIC
   * has no link until one is connected to {@link Nic.device}. Its MAC and MTU, where it has any, are the NIC's unless
   * others are asked for.
   */
  readonly backend?: NetBackend;
  /** Ring and transport features to offer: as of `DeviceCoreOptions` of @virtio-ts/virtio-device. */
  readonly ringFeatures?: bigint;
  /**
   * Told of each fault that sets DEVICE_NEEDS_RESET. Without it, faults of the NIC and its backend go to the machine's
   * `onError`; what the guest did wrong only shows in {@link Nic.core}'s counters.
   */
  readonly onFault?: (fault: DeviceFault) => void;
}

/** What a NIC on the PCI bus is made with. */
export interface PciNicOptions extends AnyNicOptions, V86PlugOptions {
  /**
   * Interfaces it offers: that of VIRTIO 1.x, which is the default, that of the time before, or both. All of them are
   * known to Linux.
   */
  readonly transport?: "modern" | "transitional" | "legacy";
  /**
   * How it interrupts. By default by messages (MSI-X) where the machine takes them, that is, where the emulator was
   * made with `acpi: true`; by its interrupt pin elsewhere.
   */
  readonly interrupt?: "msix" | "intx";
  /** Kind of the BAR of its modern registers: `memory` by default. */
  readonly bar?: "memory" | "io";
}

/** What a NIC over MMIO is made with. A guest does not find it by itself: it is told, for example by an ACPI table. */
export interface MmioNicOptions extends AnyNicOptions {
  /** The interface it offers: version 2 of the registers, or legacy version 1. */
  readonly transport: "mmio" | "mmio-legacy";
  /** Physical address of its registers, a page; {@link MMIO_NIC_ADDRESS} by default. */
  readonly address?: number;
  /** Its interrupt line, level-triggered, active high; {@link MMIO_NIC_LINE} by default. */
  readonly line?: number;
}

/** What a NIC is made with. */
export type NicOptions = PciNicOptions | MmioNicOptions;

/** Where the registers of a NIC over MMIO are unless asked for elsewhere: between the I/O APIC and the local APIC. */
export const MMIO_NIC_ADDRESS = 0xfed8_0000;
/** The interrupt line of a NIC over MMIO unless it was given another: one that nothing else in v86 has. */
export const MMIO_NIC_LINE = 7;

/** A NIC that is plugged in, whatever it is on. */
interface AnyNic {
  /** The machine it is in. */
  readonly machine: V86Machine;
  /** The network device, with its counters. It is one end of a link, should another backend be connected. */
  readonly device: NetDevice;
  /** The state of the device: status, negotiated features, counters. */
  readonly core: DeviceCore;
  /** The link to the backend; `null` without one. */
  readonly link: Link | null;
  /**
   * Its state as plain data, and all of its driver's use of it. It goes with a state of the emulator of the same moment:
   * with the emulator stopped, call `emulator.save_state()` next, in the same turn of the event loop.
   */
  save(): unknown;
  /**
   * Takes back what {@link save} gave. The emulator has its state of that moment and is stopped, and this is a new NIC
   * of the same options, at the same place; when the emulator runs, both go on. Connections to the network are the
   * backend's, and it is its matter whether they do too.
   * @throws RestoreError for anything else than the state of such a NIC; nothing is changed then
   */
  restore(state: unknown): void;
  /** Takes it out, for good, and lets go of the backend. Have the guest let go of the device first. */
  remove(): Promise<void>;
}

/** A NIC on the PCI bus. */
export interface PciNic extends AnyNic {
  /** The function it is. */
  readonly pci: VirtioPciDevice;
  /** Where it is plugged in. */
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

/** A NIC that is plugged in. */
export type Nic = PciNic | MmioNic;

/**
 * Puts a NIC into an emulator.
 *
 * ```ts
 * const nic = addNic(emulator, { backend: new UserNetwork() });
 * ```
 * @param target an emulator, after its event `emulator-loaded`, or the machine made of it
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
    // One for configuration changes and one for both queues: a guest of one processor is interrupted once for an
    // answer and what it answers, not twice.
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
    // The guest runs in turns of our event loop: what it sends in one is best sent on together.
    transmit: "gathered",
    // And what comes in during one has to fit into the ring: v86's own has as many entries.
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

/** Joins the NIC to its backend and plugs it in: both, or neither. */
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
