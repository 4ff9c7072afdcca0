/**
 * Gets a kernel, builds an initramfs, and boots real guests for the demo and the tests.
 *
 * @module
 */
export { type AssetFile, type AssetOptions, type GuestAssets, resolveAssets } from "./assets.ts";
export { type BootOptions, bootGuest } from "./boot.ts";
export { defaultCacheDir } from "./cache.ts";
export type { ExecOptions, ExecResult } from "./channel.ts";
export type { Emulator, EmulatorEvents } from "./emulator.ts";
export { ASSET_ADVICE, GuestError, type GuestErrorCode, NoKernelError } from "./errors.ts";
export type { Guest, GuestConsole } from "./guest.ts";
export type { AcpiTable } from "./initramfs.ts";
export { GUEST_MODULES, PRELOADED_MODULES } from "./modules.ts";
