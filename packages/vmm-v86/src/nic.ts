/**
 * A virtio NIC in a v86 emulator by one call: the network device (VIRTIO 1.4, 5.1) on virtio over PCI (4.1), in a slot
 * of the emulator's bus, joined to a backend. For authors of emulator pages.
 * @module
 */

import { connect, type Link, type NetBackend } from "@virtio-ts/net-backends";
import { NetDevice, type NetDeviceOptions } from "@virtio-ts/virtio-net";
import { VirtioPciDevice } from "@virtio-ts/virtio-pci";
import type { V86Emulator } from "./cpu.ts";
import { V86Error } from "./errors.ts";
import { attachToV86, V86Machine, type V86Plugged, type V86PlugOptions } from "./machine.ts";

/** What a NIC is made with. */
export interface NicOptions extends NetDeviceOptions, V86PlugOptions {
  /**
   * Where its frames go: a user-mode network, a port of a switch, anything that is a `NetBackend`. Without one the NIC
   * has no link until one is connected to {@link Nic.device}. Its MAC and MTU, where it has any, are the NIC's unless
   * others are asked for.
   */
  readonly backend?: NetBackend;
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
  /** Ring and transport features to offer: as of `DeviceCoreOptions` of @virtio-ts/virtio-device. */
  readonly ringFeatures?: bigint;
}

/** A NIC that is plugged in. */
export interface Nic {
  /** The machine it is in. */
  readonly machine: V86Machine;
  /** The network device, with its counters. It is one end of a link, should another backend be connected. */
  readonly device: NetDevice;
  /** The transport, with the state of the device: status, negotiated features. */
  readonly pci: VirtioPciDevice;
  /** Where it is plugged in. */
  readonly plugged: V86Plugged;
  /** The link to the backend; `null` without one. */
  readonly link: Link | null;
  /** Takes it out, for good, and lets go of the backend. Have the guest let go of the device first. */
  remove(): Promise<void>;
}

/**
 * Puts a NIC into an emulator.
 *
 * ```ts
 * const nic = addNic(emulator, { backend: new UserNetwork() });
 * ```
 * @param target an emulator, after its event `emulator-loaded`, or the machine made of it
 * @throws V86Error `not-loaded`, `unsupported-version`, `slot-taken`, `no-slot`, `no-msi`; NetConfigError
 */
export function addNic(target: V86Emulator | V86Machine, options: NicOptions = {}): Nic {
  const machine = target instanceof V86Machine ? target : attachToV86(target);
  const { backend } = options;
  const interrupt = options.interrupt ?? (machine.hasMsi ? "msix" : "intx");
  if (interrupt === "msix" && !machine.hasMsi) {
    throw new V86Error("no-msi", "MSI-X needs a local APIC: make the emulator with `acpi: true`, or take `intx`");
  }
  const mac = options.mac ?? backend?.mac;
  const mtu = options.mtu ?? backend?.mtu;
  const device = new NetDevice({
    // The guest runs in turns of our event loop: what it sends in one is best sent on together.
    transmit: "gathered",
    // And what comes in during one has to fit into the ring: v86's own has as many entries.
    queueSize: 1024,
    ...options,
    ...(mac && { mac }),
    ...(mtu !== undefined && { mtu }),
  });
  const pci = new VirtioPciDevice(device, {
    memory: machine.memory,
    scheduler: machine.scheduler,
    mode: options.transport ?? "modern",
    interrupt,
    bar: options.bar ?? "memory",
    // One for configuration changes and one for both queues: a guest of one processor is interrupted once for an
    // answer and what it answers, not twice.
    vectors: 2,
    ...(options.ringFeatures !== undefined && { ringFeatures: options.ringFeatures }),
  });
  const plugged = machine.plugPci(pci, { name: "virtio-net", ...options });
  const link = backend === undefined ? null : connect(device, backend);
  return {
    machine,
    device,
    pci,
    plugged,
    link,
    remove: async () => {
      plugged.unplug();
      link?.disconnect();
      await pci.remove();
    },
  };
}
