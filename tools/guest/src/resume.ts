/**
 * Writes a guest down in the middle of its work, and goes on with it later, perhaps in another process.
 *
 * @module
 */
import { randomBytes } from "node:crypto";
import { type AssetOptions, resolveAssets } from "./assets.ts";
import { type BootOptions, ColdStart, started } from "./cold-start.ts";
import { createEmulator, type Emulator } from "./emulator.ts";
import { GuestError, throwIfAborted } from "./errors.ts";
import { Guest } from "./guest.ts";
import { readSnapshot, type Snapshot, writeSnapshot } from "./snapshot.ts";

/** A rescan takes a fraction of a second; a device that answers nonsense can keep a driver busy for ever. */
export const WAKE_TIMEOUT_MS = 30_000;

/**
 * Stops a guest and writes it down, so that {@link resumeGuest} can go on with it, in this process or in another. No
 * command of its shell may be under way; what it does in the background goes on later.
 *
 * @param saveDevices what the devices that were plugged in have to remember: plain data, as their `save` gives
 * @throws what the system says about the file
 */
export async function saveGuest(guest: Guest, path: string, saveDevices?: () => unknown): Promise<void> {
  const { emulator, kernelVersion } = guest;
  await emulator.stop();
  // One moment for all, for a frame may come at any other. Devices first: they give back what they hold of the guest's.
  const devices = saveDevices?.();
  const state = emulator.save_state();
  await writeSnapshot(path, { kernelVersion, devices, state: await state });
}

/** Options of {@link resumeGuest}: the hardware must be the one that the guest was booted on. */
export interface ResumeOptions
  extends AssetOptions,
    Pick<BootOptions, "assets" | "memoryBytes" | "acpi" | "builtinVirtioNet" | "onSerial"> {
  /** Plugs the devices in again, and gives them back what they had to remember. The guest stands still meanwhile. */
  readonly attach?: (emulator: Emulator, devices: unknown) => void | Promise<void>;
}

/**
 * Goes on with a guest that {@link saveGuest} wrote down.
 *
 * @throws NoKernelError; GuestError `BAD_OPTION` where there is no such guest; as `bootGuest`
 */
export async function resumeGuest(path: string, options: ResumeOptions = {}): Promise<Guest> {
  const { attach, signal } = options;
  throwIfAborted(signal);
  const assets = options.assets ?? (await resolveAssets(options));
  const snapshot = await readSnapshot(path);
  const guest = snapshot && (await wakeUp(new ColdStart(assets, options), snapshot));
  if (guest === undefined) throw new GuestError("BAD_OPTION", `${path} is no guest that was saved on this hardware`);
  return await started(guest, signal, async () => {
    await attach?.(guest.emulator, snapshot?.devices);
    await guest.emulator.run();
    await guest.run(wake(), { timeoutMs: WAKE_TIMEOUT_MS });
  });
}

/** A guest as its snapshot has it, standing still; undefined where the emulator takes no such state. */
export async function wakeUp(cold: ColdStart, { state, kernelVersion }: Snapshot): Promise<Guest | undefined> {
  const emulator = await createEmulator(await cold.hardware());
  try {
    await emulator.restore_state(state);
  } catch {
    await emulator.destroy();
    return undefined;
  }
  const guest = new Guest(emulator);
  guest.resumed(kernelVersion);
  if (cold.onSerial) guest.console.onData(cold.onSerial);
  return guest;
}

/** A command for a guest whose clock stood still, and whose random numbers would repeat. */
export function wake(): string {
  const seconds = (Date.now() / 1000).toFixed(0);
  return `date -s @${seconds} >/dev/null; echo ${randomBytes(32).toString("hex")} >/dev/urandom`;
}
