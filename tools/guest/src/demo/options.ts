/**
 * The demo's command line.
 *
 * @module
 */
import { parseArgs } from "node:util";
import type { AssetOptions } from "../assets.ts";
import { ASSET_ARGUMENTS, ASSET_HELP, type AssetArguments, assetOptions } from "../options.ts";
import { chooseNic, type NicChoice, type NicWish } from "./nic-choice.ts";
import { count, UsageError } from "./usage.ts";

/** What the user asked for. */
export interface DemoOptions {
  readonly help: boolean;
  readonly json: boolean;
  readonly shell: boolean;
  readonly nic: NicChoice;
  readonly assets: AssetOptions;
  readonly pings: number;
  readonly bytes: number;
  readonly capture: string;
}

/** For `--help`. */
export const HELP: string = `Boots an unmodified Debian kernel in the v86 emulator on our virtio NIC, and shows what it does.

usage: pnpm demo [options]

  --transport NAME        modern or legacy: virtio-pci of VIRTIO 1.x, or of before  (modern)
                          mmio or mmio-legacy: virtio-mmio, version 2 or version 1
  --bar memory|io         where the registers are, on PCI; legacy: io only          (memory)
  --interrupt msix|intx   how the NIC interrupts, on PCI                            (msix; legacy: intx)
  --pings N               echo requests to send                                     (10)
  --size MIB              size of each transfer, MiB                                (64)
  --capture FILE          where the frames are recorded                             (demo.pcapng)
  --shell                 a shell in the guest, in this terminal, with the network up
  --json                  one JSON object on standard output, nothing else
  --help                  this text

where the guest comes from:
${ASSET_HELP}

exit status: 0 all went well, 1 something failed, 2 wrong usage, 3 no kernel to be had, 130 interrupted`;

/**
 * Reads the command line.
 *
 * @throws UsageError
 */
export function parseOptions(args: readonly string[]): DemoOptions {
  const values = parse(args);
  if (values.json && values.shell) throw new UsageError("--json and --shell exclude each other: both want the output");
  return {
    help: values.help ?? false,
    json: values.json ?? false,
    shell: values.shell ?? false,
    nic: chooseNic(values),
    assets: assetOptions(values),
    pings: count("pings", values.pings ?? "10", 1, 100_000),
    bytes: count("size", values.size ?? "64", 1, 160) * 2 ** 20,
    capture: values.capture ?? "demo.pcapng",
  };
}

interface Values extends AssetArguments, NicWish {
  readonly help?: boolean;
  readonly json?: boolean;
  readonly shell?: boolean;
  readonly pings?: string;
  readonly size?: string;
  readonly capture?: string;
}

function parse(args: readonly string[]): Values {
  const text = { type: "string" } as const;
  const flag = { type: "boolean" } as const;
  try {
    return parseArgs({
      args: [...args],
      options: {
        ...ASSET_ARGUMENTS,
        help: flag,
        json: flag,
        shell: flag,
        transport: text,
        bar: text,
        interrupt: text,
        pings: text,
        size: text,
        capture: text,
      },
    }).values;
  } catch (cause) {
    throw new UsageError(cause instanceof Error ? cause.message : String(cause), { cause });
  }
}
