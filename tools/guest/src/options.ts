/**
 * The command line options that say what a guest is booted from: shared by every program that boots one.
 *
 * @module
 */
import type { AssetOptions } from "./assets.ts";

/** For `parseArgs` of node:util. */
export const ASSET_ARGUMENTS: {
  readonly kernel: { readonly type: "string" };
  readonly initrd: { readonly type: "string" };
  readonly bios: { readonly type: "string" };
  readonly "no-cache": { readonly type: "boolean" };
} = {
  kernel: { type: "string" },
  initrd: { type: "string" },
  bios: { type: "string" },
  "no-cache": { type: "boolean" },
};

/** For `--help`. */
export const ASSET_HELP: string = `  --kernel <file>   32-bit x86 Linux kernel (bzImage); needs --initrd
  --initrd <file>   initramfs made by this tool for that kernel
  --bios <file>     SeaBIOS image (bios.bin)
  --no-cache        neither read nor write cached files and snapshots
Without these, the files come from the cache, or once from this machine's Debian package sources.`;

/** What `parseArgs` makes of {@link ASSET_ARGUMENTS}. */
export interface AssetArguments {
  readonly kernel?: string | undefined;
  readonly initrd?: string | undefined;
  readonly bios?: string | undefined;
  readonly "no-cache"?: boolean | undefined;
}

/** Turns parsed arguments into options of `resolveAssets` and `bootGuest`. */
export function assetOptions(values: AssetArguments): AssetOptions {
  return { kernel: values.kernel, initrd: values.initrd, bios: values.bios, useCache: !values["no-cache"] };
}
