/**
 * The internals of v86 that this package uses. The published build keeps these names but does not declare them, so the
 * version is pinned and every property is checked before use.
 * @module
 */

import { V86Error } from "./errors.ts";

/** The version of v86 this package was written against. */
export const V86_VERSION = "0.5.462";

/**
 * A v86 emulator: an instance of the `V86` class of the `v86` package. It declares only the public members in use; the
 * others are looked up at run time.
 */
export interface V86Emulator {
  add_listener(event: "emulator-started" | "emulator-stopped", listener: () => void): void;
  is_running(): boolean;
}

/** One I/O port. Read functions get the port's number, write functions the value; `this` is `device`. */
export interface V86Port {
  read8: (this: never, port: number) => number;
  read16: (this: never, port: number) => number;
  read32: (this: never, port: number) => number;
  write8: (this: never, value: number) => void;
  write16: (this: never, value: number) => void;
  write32: (this: never, value: number) => void;
  device: unknown;
}

/** The I/O ports. */
export interface V86Io {
  readonly ports: V86Port[];
  /** The functions of an unused port. */
  readonly empty_port_read8: unknown;
  readonly empty_port_write: unknown;
}

/** The PCI bus, its host bridge and its interrupt router. */
export interface V86Pci {
  /** The address register of configuration mechanism 1, one element. */
  readonly pci_addr32: Int32Array;
  /** Devices by bus, device and function number. */
  readonly devices: unknown[];
  /** Configuration spaces by the same number, as v86 keeps them for its own devices. */
  readonly device_spaces: (Int32Array | undefined)[];
  /** Configuration space of the ISA bridge; at 0x60 it routes the four PCI interrupts. */
  readonly isa_bridge_space8: Uint8Array;
  register_device(device: { pci_id: number; pci_space: ArrayLike<number>; pci_bars: []; name: string }): unknown;
  raise_irq(id: number): void;
  lower_irq(id: number): void;
}

/** Reads one value of memory-mapped I/O. */
export type MmioRead = (address: number) => number;
/** Writes one value of memory-mapped I/O. */
export type MmioWrite = (address: number, value: number) => void;

/** The processor and its surroundings. Functions without a body of their own are exports of the WebAssembly module. */
export interface V86Cpu {
  readonly wasm_memory: { readonly buffer: ArrayBuffer };
  /** Guest memory. Slow to access, but its `byteOffset` is the place in `wasm_memory`. */
  readonly mem8: { readonly byteOffset: number };
  readonly memory_size: { readonly 0: number };
  /** The flags register. Slow to access, like `mem8`. */
  readonly flags: { readonly byteOffset: number };
  readonly acpi_enabled: { readonly 0: number };
  readonly memory_map_read8: MmioRead[];
  readonly memory_map_write8: MmioWrite[];
  readonly memory_map_read32: MmioRead[];
  readonly memory_map_write32: MmioWrite[];
  /** 16-bit writes to memory-mapped I/O come through here; 16-bit reads do not. */
  mmap_write16: MmioWrite;
  /** Runs the guest for about 1 ms; returns the time to wait, ms. */
  main_loop: () => number;
  reboot_internal: () => void;
  set_state: (state: unknown) => void;
  device_raise_irq(line: number): void;
  device_lower_irq(line: number): void;
  write32(address: number, value: number): void;
  jit_dirty_cache(start: number, end: number): void;
  readonly io: V86Io;
  readonly devices: { readonly pci: V86Pci };
}

/** Each property in use, and its type. */
const EXPECTED: readonly (readonly [path: string, type: "function" | "object" | "number"])[] = [
  ["wasm_memory.buffer", "object"],
  ["mem8.byteOffset", "number"],
  ["memory_size.0", "number"],
  ["flags.byteOffset", "number"],
  ["acpi_enabled.0", "number"],
  ["memory_map_read8", "object"],
  ["memory_map_write8", "object"],
  ["memory_map_read32", "object"],
  ["memory_map_write32", "object"],
  ["mmap_write16", "function"],
  ["main_loop", "function"],
  ["reboot_internal", "function"],
  ["set_state", "function"],
  ["device_raise_irq", "function"],
  ["device_lower_irq", "function"],
  ["write32", "function"],
  ["jit_dirty_cache", "function"],
  ["io.ports.3324.read8", "function"],
  ["io.ports.3324.write32", "function"],
  ["io.empty_port_read8", "function"],
  ["io.empty_port_write", "function"],
  ["devices.pci.pci_addr32", "object"],
  ["devices.pci.devices", "object"],
  ["devices.pci.device_spaces", "object"],
  ["devices.pci.isa_bridge_space8", "object"],
  ["devices.pci.register_device", "function"],
  ["devices.pci.raise_irq", "function"],
  ["devices.pci.lower_irq", "function"],
];

/**
 * The processor of an emulator, checked.
 * @throws V86Error `not-loaded`, `unsupported-version`
 */
export function cpuOf(emulator: V86Emulator): V86Cpu {
  const cpu = at(emulator, "v86.cpu");
  // v86 creates its devices last.
  if (at(cpu, "devices.pci") === undefined) {
    throw new V86Error("not-loaded", "the emulator is not loaded: wait for its event `emulator-loaded`");
  }
  for (const [path, type] of EXPECTED) {
    const found = at(cpu, path);
    const kind = found === null ? "null" : typeof found;
    if (kind !== type) {
      throw new V86Error(
        "unsupported-version",
        `cpu.${path} of v86 is ${kind}, not a ${type}: this package goes with v86 ${V86_VERSION} only`,
      );
    }
  }
  return cpu as V86Cpu;
}

function at(object: unknown, path: string): unknown {
  let value = object;
  for (const name of path.split(".")) {
    if (value === undefined || value === null) return undefined;
    value = (value as Record<string, unknown>)[name];
  }
  return value;
}
