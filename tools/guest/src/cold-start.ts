/**
 * The road of a guest from power-on to taking commands, and what it depends on.
 *
 * @module
 */
import { createHash } from "node:crypto";
import type { AssetOptions, GuestAssets } from "./assets.ts";
import { createEmulator, type Emulator, type EmulatorOptions, emulatorVersion } from "./emulator.ts";
import { throwIfAborted } from "./errors.ts";
import { Guest } from "./guest.ts";
import { type AcpiTable, prependAcpiTables } from "./initramfs.ts";
import { PRELOADED_MODULES } from "./modules.ts";

/** Options of `bootGuest`. `cacheDir` and `useCache` are about snapshots too; `signal` ends the start only. */
export interface BootOptions extends AssetOptions {
  /** Default: what {@link resolveAssets} finds. */
  readonly assets?: GuestAssets | undefined;
  /** Guest memory. Default: 256 MiB, of which /tmp may take 180. The snapshot does not grow with it. */
  readonly memoryBytes?: number | undefined;
  /** Added to the kernel's command line. */
  readonly cmdline?: string | undefined;
  /** ACPI with local APIC and I/O APIC, which MSI-X needs. Default: false. */
  readonly acpi?: boolean | undefined;
  /** ACPI tables for the kernel, for example to announce a virtio-mmio device. Need `acpi`. */
  readonly acpiTables?: readonly AcpiTable[] | undefined;
  /** v86's own virtio NIC in slot 0x0A. Default: false. */
  readonly builtinVirtioNet?: boolean | undefined;
  /** Kernel modules loaded before the snapshot. Default: {@link PRELOADED_MODULES}. */
  readonly modules?: readonly string[] | undefined;
  /** Plugs devices in while the guest stands still; see `plug` for when. */
  readonly attach?: ((emulator: Emulator) => void | Promise<void>) | undefined;
  /**
   * - `hot` (default): after boot or restore; Linux then finds the devices by a rescan of the PCI bus
   * - `cold`: before the machine is switched on, so that the BIOS sees them too; no snapshot is used
   */
  readonly plug?: "hot" | "cold" | undefined;
  /** Is given every byte of the serial console. */
  readonly onSerial?: ((bytes: Uint8Array) => void) | undefined;
  /** Default: 180,000. Cold boots only; they take 10 s on a quiet machine. */
  readonly bootTimeoutMs?: number | undefined;
}

const DEFAULT_MEMORY_BYTES = 256 << 20;
const DEFAULT_BOOT_TIMEOUT_MS = 180_000;
/** What every guest is started with; the second line only saves time. */
const CMDLINE = [
  "console=ttyS0 tsc=reliable random.trust_cpu=on panic=0 oops=panic acpiphp.disable=1",
  "quiet mitigations=off cryptomgr.notests noisapnp",
].join(" ");
/** Without a local APIC there is nobody to take messages: Linux shall not even try, since it warns when it fails. */
const CMDLINE_WITHOUT_ACPI = "acpi=off pci=nomsi";

/** A guest that is to be booted. */
export class ColdStart {
  readonly #assets: GuestAssets;
  readonly #options: Omit<BootOptions, "attach">;

  constructor(assets: GuestAssets, options: Omit<BootOptions, "attach">) {
    this.#assets = assets;
    this.#options = options;
  }

  /** Everything that the state of a booted guest depends on. */
  configuration(): unknown {
    const { acpi, acpiTables, builtinVirtioNet } = this.#options;
    const { kernel, initrd, bios } = this.#assets;
    return {
      emulator: emulatorVersion(),
      files: [kernel.sha256, initrd.sha256, bios.sha256],
      memoryBytes: this.#memoryBytes,
      cmdline: this.#cmdline,
      acpi: acpi ?? false,
      acpiTables: acpiTables?.map(({ data }) => createHash("sha256").update(data).digest("hex")) ?? [],
      builtinVirtioNet: builtinVirtioNet ?? false,
      modules: this.#modules,
    };
  }

  get onSerial(): BootOptions["onSerial"] {
    return this.#options.onSerial;
  }

  /** The machine without anything to boot. */
  async hardware(): Promise<EmulatorOptions> {
    return {
      memoryBytes: this.#memoryBytes,
      acpi: this.#options.acpi ?? false,
      builtinVirtioNet: this.#options.builtinVirtioNet ?? false,
      bios: await this.#assets.bios.read(),
    };
  }

  /** Boots until the agent answers and the modules are loaded. */
  async boot(attach?: (emulator: Emulator) => void | Promise<void>): Promise<Guest> {
    const { acpiTables, bootTimeoutMs, onProgress, onSerial, signal } = this.#options;
    onProgress?.(`booting Linux ${this.#assets.kernelVersion}`);
    const [kernel, initrd] = await Promise.all([this.#assets.kernel.read(), this.#assets.initrd.read()]);
    const emulator = await createEmulator({
      ...(await this.hardware()),
      boot: { kernel, initrd: prependAcpiTables(initrd, acpiTables ?? []), cmdline: this.#cmdline },
    });
    return await started(new Guest(emulator), signal, async (guest) => {
      if (onSerial) guest.console.onData(onSerial);
      await attach?.(emulator);
      await emulator.run();
      await guest.untilReady(bootTimeoutMs ?? DEFAULT_BOOT_TIMEOUT_MS);
      await guest.loadModules(...this.#modules);
    });
  }

  get #memoryBytes(): number {
    return this.#options.memoryBytes ?? DEFAULT_MEMORY_BYTES;
  }

  get #cmdline(): string {
    const { acpi, cmdline } = this.#options;
    return [CMDLINE, ...(acpi ? [] : [CMDLINE_WITHOUT_ACPI]), ...(cmdline ? [cmdline] : [])].join(" ");
  }

  get #modules(): readonly string[] {
    return this.#options.modules ?? PRELOADED_MODULES;
  }
}

/** Runs a part of the start; when it fails or is aborted, nothing of the guest is left. */
export async function started(
  guest: Guest,
  signal: AbortSignal | undefined,
  start: (guest: Guest) => Promise<void>,
): Promise<Guest> {
  const abort = (): void => void guest.stop();
  signal?.addEventListener("abort", abort, { once: true });
  try {
    throwIfAborted(signal);
    await start(guest);
    return guest;
  } catch (error) {
    await guest.stop();
    throwIfAborted(signal);
    throw error;
  } finally {
    signal?.removeEventListener("abort", abort);
  }
}
