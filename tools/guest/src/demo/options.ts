/**
 * The demo's command line.
 *
 * @module
 */
import { parseArgs } from "node:util";
import type { AssetOptions } from "../assets.ts";
import { ASSET_ARGUMENTS, ASSET_HELP, type AssetArguments, assetOptions } from "../options.ts";

/** What the user asked for. */
export interface DemoOptions {
  readonly help: boolean;
  readonly json: boolean;
  readonly shell: boolean;
  readonly transport: "modern" | "legacy";
  readonly interrupt: "msix" | "intx";
  readonly assets: AssetOptions;
  readonly pings: number;
  readonly bytes: number;
  readonly capture: string;
}

/** A command line that makes no sense; the message says what was expected. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** For `--help`. */
export const HELP: string = `Boots an unmodified Debian kernel in the v86 emulator on our virtio NIC, and shows what it does.

usage: pnpm demo [options]

  --transport modern|legacy   which virtio-pci the guest sees                     (modern)
  --interrupt msix|intx       how the NIC interrupts; legacy has INTx only        (msix; legacy: intx)
  --pings N                   echo requests to send                               (10)
  --size MIB                  size of each transfer, MiB                          (64)
  --capture FILE              where the frames are recorded                       (demo.pcapng)
  --shell                     a shell in the guest, in this terminal, with the network up
  --json                      one JSON object on standard output, nothing else
  --help                      this text

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
  const transport = oneOf("transport", values.transport ?? "modern", ["modern", "legacy"]);
  const interrupt = oneOf("interrupt", values.interrupt ?? (transport === "legacy" ? "intx" : "msix"), [
    "msix",
    "intx",
  ]);
  if (transport === "legacy" && interrupt === "msix") {
    throw new UsageError("--transport legacy goes with --interrupt intx: this demo's legacy device has no MSI-X");
  }
  if (values.json && values.shell) throw new UsageError("--json and --shell exclude each other: both want the output");
  return {
    help: values.help ?? false,
    json: values.json ?? false,
    shell: values.shell ?? false,
    transport,
    interrupt,
    assets: assetOptions(values),
    pings: count("pings", values.pings ?? "10", 1, 100_000),
    bytes: count("size", values.size ?? "64", 1, 160) * 2 ** 20,
    capture: values.capture ?? "demo.pcapng",
  };
}

interface Values extends AssetArguments {
  readonly help?: boolean;
  readonly json?: boolean;
  readonly shell?: boolean;
  readonly transport?: string;
  readonly interrupt?: string;
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

function oneOf<T extends string>(name: string, value: string, choices: readonly T[]): T {
  const choice = choices.find((c) => c === value);
  if (choice === undefined) throw new UsageError(`--${name} ${value}: expected ${choices.join(" or ")}`);
  return choice;
}

function count(name: string, value: string, min: number, max: number): number {
  const number = Number(value);
  if (!Number.isInteger(number) || number < min || number > max) {
    throw new UsageError(`--${name} ${value}: expected a whole number from ${min} to ${max}`);
  }
  return number;
}
