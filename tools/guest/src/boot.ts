/**
 * Boots a guest, or wakes one up from the snapshot of an earlier boot.
 *
 * A snapshot is taken when Linux is up and the drivers are loaded, but before any of our devices exists. Devices are
 * plugged in afterwards and found by a rescan of the bus, in the same way after a boot and after a restore.
 *
 * @module
 */
import { resolveAssets } from "./assets.ts";
import { defaultCacheDir } from "./cache.ts";
import { type BootOptions, ColdStart, started } from "./cold-start.ts";
import { throwIfAborted } from "./errors.ts";
import type { Guest } from "./guest.ts";
import { saveGuest, WAKE_TIMEOUT_MS, wake, wakeUp } from "./resume.ts";
import { pruneSnapshots, readSnapshot, removeSnapshot, snapshotPath } from "./snapshot.ts";

/**
 * Starts a guest: from a snapshot when there is one that fits, else by booting it.
 *
 * @throws NoKernelError; GuestError `BOOT_TIMEOUT`, `GUEST_DIED`, `EMULATOR`, `ABORTED`; what `attach` throws
 */
export async function bootGuest(options: BootOptions = {}): Promise<Guest> {
  const { signal } = options;
  throwIfAborted(signal);
  const assets = options.assets ?? (await resolveAssets(options));
  const cold = new ColdStart(assets, options);
  if (options.plug === "cold") return await cold.boot(options.attach);
  if (options.useCache === false) return await plugIn(await cold.boot(), options);

  const path = snapshotPath(options.cacheDir ?? defaultCacheDir(), cold.configuration());
  const snapshot = await readSnapshot(path);
  if (snapshot) {
    const guest = await wakeUp(cold, snapshot);
    if (guest !== undefined) return await plugIn(guest, options);
    await removeSnapshot(path);
    return await bootGuest({ ...options, assets });
  }
  const guest = await cold.boot();
  await saveGuest(guest, path).then(
    () => pruneSnapshots(path),
    (error) => options.onProgress?.(`no snapshot for the next time: ${String(error)}`),
  );
  return await plugIn(guest, options);
}

/** Plugs devices into a guest that stands still (or runs: it is stopped then), and lets it find them. */
async function plugIn(guest: Guest, options: BootOptions): Promise<Guest> {
  return await started(guest, options.signal, async () => {
    await guest.emulator.stop();
    await options.attach?.(guest.emulator);
    await guest.emulator.run();
    const command = options.attach ? `${wake()}; echo 1 >/sys/bus/pci/rescan` : wake();
    await guest.run(command, { timeoutMs: WAKE_TIMEOUT_MS });
  });
}
