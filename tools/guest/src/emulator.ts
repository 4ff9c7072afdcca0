/**
 * The v86 emulator as this package uses it: loading it, and the part of its interface that is relied upon. The
 * inner objects (`v86`, `cpu`) are not in its own declarations, which is why its version is pinned exactly.
 *
 * @module
 */
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { GuestError } from "./errors.ts";

/** What listeners of the emulator are given. */
export interface EmulatorEvents {
  "emulator-loaded": undefined;
  "emulator-started": undefined;
  "emulator-stopped": undefined;
  "cpu-event-halt": undefined;
  "serial0-output-byte": number;
  "net0-send": Uint8Array;
}

/** A running v86. */
export interface Emulator {
  /** The machine. Devices are plugged in through `cpu`; its type is up to whoever does so. */
  readonly v86: {
    // biome-ignore lint/suspicious/noExplicitAny: v86 declares no types for it, and packages type different parts.
    readonly cpu: any;
    /** Runs the guest for some milliseconds and schedules the next turn. */
    do_tick(): void;
    destroy(): void;
  };
  /** The messages between the devices of v86, for example `net0-receive`. */
  readonly bus: { send(event: string, value?: unknown): void };
  add_listener<E extends keyof EmulatorEvents>(event: E, listener: (value: EmulatorEvents[E]) => void): void;
  remove_listener<E extends keyof EmulatorEvents>(event: E, listener: (value: EmulatorEvents[E]) => void): void;
  is_running(): boolean;
  run(): Promise<void>;
  stop(): Promise<void>;
  destroy(): Promise<void>;
  save_state(): Promise<ArrayBuffer>;
  restore_state(state: ArrayBuffer): Promise<void>;
}

/** The hardware of a guest, and the images it starts from. */
export interface EmulatorOptions {
  readonly memoryBytes: number;
  readonly acpi: boolean;
  readonly builtinVirtioNet: boolean;
  readonly bios: Uint8Array<ArrayBuffer>;
  /** Absent when a state will be restored, or the BIOS finds something to boot itself. */
  readonly boot?: {
    readonly kernel: Uint8Array<ArrayBuffer>;
    readonly initrd: Uint8Array<ArrayBuffer>;
    readonly cmdline: string;
  };
  /** A CD-ROM in the drive, as an ISO image. */
  readonly cdrom?: Uint8Array<ArrayBuffer>;
}

/** There is no screen; the least that v86 works with. */
const VGA_MEMORY_BYTES = 1 << 20;

/** The types of this project stop at ECMAScript; this is all of WebAssembly that is needed here. */
declare const WebAssembly: {
  instantiate(source: Uint8Array, imports: object): Promise<{ readonly instance: { readonly exports: object } }>;
};

interface V86Module {
  readonly V86: new (options: Record<string, unknown>) => Emulator;
}

const require = createRequire(import.meta.url);

/** The exact version of the emulator: a state fits one version only. */
export function emulatorVersion(): string {
  return (require("v86/package.json") as { version: string }).version;
}

/**
 * Loads the emulator; it is stopped afterwards.
 *
 * @throws GuestError `EMULATOR`
 */
export async function createEmulator(options: EmulatorOptions): Promise<Emulator> {
  try {
    const build = join(dirname(require.resolve("v86/package.json")), "build");
    const [{ V86 }, wasm] = await Promise.all([
      import("v86") as unknown as Promise<V86Module>,
      readFile(join(build, "v86.wasm")),
    ]);
    return await new Promise((resolve, reject) => {
      const emulator = new V86({
        ...machineOptions(options),
        // Ours instead of v86's own loader, whose failures never come back.
        wasm_fn: async (imports: object) => {
          try {
            return (await WebAssembly.instantiate(wasm, imports)).instance.exports;
          } catch (error) {
            reject(error);
            throw error;
          }
        },
      });
      emulator.add_listener("emulator-loaded", () => resolve(emulator));
    });
  } catch (error) {
    throw new GuestError("EMULATOR", `the v86 emulator could not be loaded: ${String(error)}`, { cause: error });
  }
}

function machineOptions(options: EmulatorOptions): Record<string, unknown> {
  const { boot, cdrom } = options;
  return {
    memory_size: options.memoryBytes,
    vga_memory_size: VGA_MEMORY_BYTES,
    acpi: options.acpi,
    bios: { buffer: options.bios.buffer },
    ...(boot && {
      bzimage: { buffer: boot.kernel.buffer },
      initrd: { buffer: boot.initrd.buffer },
      cmdline: boot.cmdline,
    }),
    ...(cdrom && { cdrom: { buffer: cdrom.buffer } }),
    net_device: { type: options.builtinVirtioNet ? "virtio" : "none" },
    autostart: false,
    fastboot: true,
    disable_keyboard: true,
    disable_mouse: true,
    disable_speaker: true,
  };
}
