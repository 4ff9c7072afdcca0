/**
 * The ways to plug the demo's NIC in: which there are, and what they are called.
 *
 * @module
 */
import { oneOf, UsageError } from "./usage.ts";

/** A way to plug a NIC in: options of `addNic`. */
export type NicChoice =
  | {
      readonly transport: "modern";
      readonly bar: "memory" | "io";
      readonly interrupt: "msix" | "intx";
    }
  | { readonly transport: "legacy"; readonly interrupt: "msix" | "intx" }
  | { readonly transport: "mmio" | "mmio-legacy" };

/** What was asked for, option by option. */
export interface NicWish {
  readonly transport?: string | undefined;
  readonly bar?: string | undefined;
  readonly interrupt?: string | undefined;
}

const TRANSPORTS = ["modern", "legacy", "mmio", "mmio-legacy"] as const;
const BARS = ["memory", "io"] as const;
const INTERRUPTS = ["msix", "intx"] as const;

/**
 * The NIC that was asked for.
 *
 * @throws UsageError where there is none of that kind
 */
export function chooseNic(wish: NicWish): NicChoice {
  const transport = oneOf("transport", wish.transport ?? "modern", TRANSPORTS);
  const bar = wish.bar === undefined ? undefined : oneOf("bar", wish.bar, BARS);
  const interrupt = wish.interrupt === undefined ? undefined : oneOf("interrupt", wish.interrupt, INTERRUPTS);
  if (transport === "modern") return { transport, bar: bar ?? "memory", interrupt: interrupt ?? "msix" };
  if (transport === "legacy") {
    if (bar === "memory") throw new UsageError("--transport legacy has --bar io: its registers are I/O ports");
    return { transport, interrupt: interrupt ?? "intx" };
  }
  if (bar !== undefined)
    throw new UsageError(`--transport ${transport} goes without --bar: it is on no bus that has any`);
  if (interrupt !== undefined) {
    throw new UsageError(`--transport ${transport} goes without --interrupt: it has one line, and nothing else`);
  }
  return { transport };
}

/** What it is called in a report for people. */
export function nameOfNic(nic: NicChoice): string {
  switch (nic.transport) {
    case "modern":
      return `virtio-pci, modern, ${nic.bar} BAR`;
    case "legacy":
      return "virtio-pci, legacy, io BAR";
    case "mmio":
      return "virtio-mmio, version 2";
    case "mmio-legacy":
      return "virtio-mmio, version 1";
  }
}
