/**
 * One call makes a virtio network card on a VM's PCI bus and port list, with an exchangeable backend, like
 * `common_make_virtio_net` of the seL4 VMM support library. The card is VIRTIO 1.4's legacy interface (4.1.4.10) with a
 * network device (5.1). Two cards share nothing.
 * @module
 */

import { connect, type Link, type NetBackend } from "@virtio-ts/net-link";
import type { DeviceFault } from "@virtio-ts/virtio-device";
import { NetDevice, type NetDeviceOptions } from "@virtio-ts/virtio-net/device";
import { VirtioPciDevice, type VirtioPciOptions } from "@virtio-ts/virtio-pci/device";
import {
  type InterruptLine,
  PCI_COMMAND,
  PCI_COMMAND_IO,
  PCI_COMMAND_MEMORY,
  type PciBar,
  type Scheduler,
} from "@virtio-ts/vm-device";
import type { GuestMemory } from "@virtio-ts/vm-memory";
import type { Reservation } from "../bus/ledger.ts";
import { writeBar } from "../pci/bar-assignment.ts";
import type { PciRoot } from "../pci/pci-root.ts";
import type { PciSlot } from "../pci/pci-slot.ts";
import type { IoPortList, IoPortRange, IoPortType } from "./io-port-list.ts";
import { MakeVirtioNetError, type MakeVirtioNetErrorCode } from "./make-error.ts";
import { RawBackend } from "./raw-backend.ts";
import type { RawDriver, RawIfaceFuncs } from "./raw-iface.ts";

/** The part of a VM that the card uses; a {@link Machine} has it. */
export interface VirtualMachine {
  /** The guest's memory. */
  readonly memory: GuestMemory;
  /** For work that does not fit into a turn. */
  readonly scheduler: Scheduler;
}

/** Parameters of {@link makeVirtioNet}. */
export interface MakeVirtioNetOptions {
  /** The VM. */
  readonly vm: VirtualMachine;
  /** The bus of the card. Its ports must be those of `ioports`. */
  readonly pci: PciRoot;
  /** The VM's ports. */
  readonly ioports: IoPortList;
  /** The card's ports. */
  readonly ioportRange: IoPortRange;
  /** Whether the ports are searched (`free`) or given (`address`). */
  readonly portType: IoPortType;
  /** Interrupt pin: 1 INTA to 4 INTD. */
  readonly interruptPin: number;
  /** Interrupt line of the pin. */
  readonly interruptLine: number;
  /** The destination of frames: functions like the seL4 VMM's, or any backend. */
  readonly backend: RawIfaceFuncs | NetBackend;
  /** Features and queue size of the network device; 128 entries by default, as in the original. */
  readonly net?: Pick<NetDeviceOptions, "features" | "queueSize">;
  /** Interfaces of the card: `legacy` by default, as in the original, or `transitional` for modern drivers too. */
  readonly mode?: VirtioPciOptions["mode"];
  /** Called with faults of the guest's driver. */
  readonly onFault?: (fault: DeviceFault) => void;
  /** Called with what a function of the backend threw. */
  readonly onBackendError?: (cause: unknown) => void;
}

/** A network card. The first five fields are those of the original's `virtio_net`. */
export interface VirtioNet {
  /** First of its ports. */
  readonly iobase: number;
  /** Towards the guest: the card's registers and state. */
  readonly emul: VirtioPciDevice;
  /** Towards the backend: the argument of its functions; `null` for a backend without such functions. */
  readonly emulDriver: RawDriver | null;
  /** The backend's functions; `null` for a backend without. */
  readonly emulDriverFuncs: RawIfaceFuncs | null;
  /** The guest memory of its frames. */
  readonly ioops: GuestMemory;
  /** The network device, with its counters. */
  readonly device: NetDevice;
  /** The link between the device and its backend. */
  readonly link: Link;
  /** The backend as an end of that link. */
  readonly backend: NetBackend;
  /**
   * The end of the link that calls the backend's functions, with `poll`, `printState` and counters; `null` for a
   * backend without such functions.
   */
  readonly rawBackend: RawBackend | null;
  /** Its place on the bus. */
  readonly slot: PciSlot;
  /** Removes the card from the VM: bus, ports, interrupt and backend are free again. */
  remove(): Promise<void>;
}

/**
 * Makes a network card. When it returns, the guest can find the card on the bus; the backend's `lowLevelInit` has run.
 * @throws MakeVirtioNetError; all resources are then released
 */
export function makeVirtioNet(options: MakeVirtioNetOptions): VirtioNet {
  const { vm, pci, ioports, interruptLine } = options;
  if (pci.ports !== ioports.bus) {
    throw new MakeVirtioNetError("other-bus", "the PCI bus and the port list are of different machines");
  }
  const reservation = step("ports", () => reservePorts(options));
  let slot: PciSlot | null = null;
  let link: Link | null = null;
  try {
    const funcs = isRaw(options.backend) ? options.backend : null;
    const raw = funcs === null ? null : step("backend", () => makeBackend(funcs, options));
    const backend = raw ?? (options.backend as NetBackend);
    const device = step("device", () => new NetDevice(deviceOptions(backend, options)));
    const emul = step("device", () => makeFunction(device, options, reservation));
    const bar = legacyBar(emul, reservation);
    link = connect(device, backend);
    const tap = raw === null ? {} : { tap: interruptTap(raw, interruptLine) };
    const plugged = step("pci", () => pci.plug(emul, { line: interruptLine, ...tap }));
    slot = plugged;
    writeBar(emul, bar, reservation.address);
    emul.configWrite(PCI_COMMAND, 2, PCI_COMMAND_IO | PCI_COMMAND_MEMORY);
    const joined = link;
    const remove = async (): Promise<void> => {
      joined.disconnect();
      pci.unplug(plugged);
      reservation.release();
      await emul.remove();
    };
    return {
      iobase: reservation.address,
      emul,
      emulDriver: raw?.driver ?? null,
      emulDriverFuncs: funcs,
      ioops: vm.memory,
      device,
      link,
      backend,
      rawBackend: raw,
      slot,
      remove: once(remove),
    };
  } catch (cause) {
    link?.disconnect();
    if (slot !== null) pci.unplug(slot);
    reservation.release();
    throw cause;
  }
}

/** The card owns the whole range, even if its registers take less. */
function reservePorts({ ioports, ioportRange: range, portType }: MakeVirtioNetOptions): Reservation {
  const size = portType === "free" ? range.size : range.end - range.start + 1;
  if (!Number.isInteger(size) || size < 1) throw new RangeError(`a range of ${size} ports`);
  return ioports.reserve(range, portType, 2 ** Math.ceil(Math.log2(size)));
}

function makeBackend(funcs: RawIfaceFuncs, { onBackendError }: MakeVirtioNetOptions): RawBackend {
  return new RawBackend(funcs, { onError: onBackendError });
}

function deviceOptions({ mac, mtu }: NetBackend, { net }: MakeVirtioNetOptions): NetDeviceOptions {
  return { queueSize: 128, ...net, ...(mac === undefined ? {} : { mac }), ...(mtu === undefined ? {} : { mtu }) };
}

function makeFunction(device: NetDevice, options: MakeVirtioNetOptions, ports: Reservation): VirtioPciDevice {
  const { vm, interruptPin, onFault } = options;
  if (!Number.isInteger(interruptPin) || interruptPin < 1 || interruptPin > 4) {
    throw new RangeError(`interrupt pin ${interruptPin} is none of 1 to 4`);
  }
  return new VirtioPciDevice(device, {
    memory: vm.memory,
    scheduler: vm.scheduler,
    mode: options.mode ?? "legacy",
    legacyPorts: decoded(ports),
    interrupt: "intx",
    interruptPin,
    ...(onFault === undefined ? {} : { onFault }),
  });
}

/** The ports of a range that a base address register can decode: a power of two, at a multiple of it. */
function decoded({ address, size }: Reservation): number {
  let ports = 2 ** Math.floor(Math.log2(size));
  while (address % ports !== 0) ports /= 2;
  return ports;
}

/** The legacy registers are in BAR 0, which decodes as much of the range as it can. */
function legacyBar(emul: VirtioPciDevice, { address, size }: Reservation): PciBar {
  const bar = emul.bars[0];
  if (bar.kind !== "io") throw new MakeVirtioNetError("device", `a card without ports: its mode must not be "modern"`);
  if (size < bar.size || address % bar.size !== 0) {
    throw new MakeVirtioNetError("range", `${size} ports at ${address} don't hold ${bar.size} at a multiple of that`);
  }
  return bar;
}

function isRaw(backend: RawIfaceFuncs | NetBackend): backend is RawIfaceFuncs {
  return "lowLevelInit" in backend;
}

/** The transport raises its pin only when it was down. */
function interruptTap(backend: RawBackend, line: number): InterruptLine {
  return { raise: () => backend.handleIRQ(line), lower: () => {} };
}

function once(run: () => Promise<void>): () => Promise<void> {
  let result: Promise<void> | null = null;
  return () => {
    result ??= run();
    return result;
  };
}

/** Runs a step of the call; an error names the step. */
function step<T>(code: MakeVirtioNetErrorCode, run: () => T): T {
  try {
    return run();
  } catch (cause) {
    if (cause instanceof MakeVirtioNetError) throw cause;
    throw new MakeVirtioNetError(code, cause instanceof Error ? cause.message : String(cause), { cause });
  }
}
