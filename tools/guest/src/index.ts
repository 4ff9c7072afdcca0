/**
 * Gets a kernel, builds an initramfs, and boots real guests for the demo and the tests.
 *
 * @module
 */
export { type AssetFile, type AssetOptions, type GuestAssets, resolveAssets } from "./assets.ts";
export { bootGuest } from "./boot.ts";
export { defaultCacheDir, makeDirectoryAtomically } from "./cache.ts";
export type { ExecOptions, ExecResult } from "./channel.ts";
export type { BootOptions } from "./cold-start.ts";
export { type DriverView, features, type GuestInterrupt } from "./driver-view.ts";
export { createEmulator, type Emulator, type EmulatorEvents, type EmulatorOptions } from "./emulator.ts";
export { ASSET_ADVICE, GuestError, type GuestErrorCode, NoKernelError } from "./errors.ts";
export { Guest, type GuestConsole } from "./guest.ts";
export type { AcpiTable } from "./initramfs.ts";
export { type MmioPlace, mmioTable } from "./mmio-table.ts";
export { GUEST_MODULES, PRELOADED_MODULES } from "./modules.ts";
export {
  bringUpNetwork,
  configureAddress,
  type GuestInterface,
  interfaces,
  type Lease,
  type PingOptions,
  type PingResult,
  ping,
  resolve,
} from "./net.ts";
export { ASSET_ARGUMENTS, ASSET_HELP, type AssetArguments, assetOptions } from "./options.ts";
export { type PktgenOptions, type PktgenResult, pktgen } from "./pktgen.ts";
export { shellQuote } from "./quote.ts";
export { type ResumeOptions, resumeGuest, saveGuest } from "./resume.ts";
export { runShell, type Terminal } from "./terminal.ts";
export {
  type DigestAlgorithm,
  download,
  type ServedFile,
  serveFile,
  stopServing,
  type Transfer,
  type TransferOptions,
  upload,
} from "./transfer.ts";
