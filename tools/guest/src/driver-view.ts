/**
 * What the guest's virtio driver made of the device: negotiated features, device status, interrupts. Read from
 * sysfs and procfs, so it is Linux's word, not ours.
 *
 * @module
 */
import type { ExecOptions } from "./channel.ts";
import { GuestError } from "./errors.ts";
import type { Guest } from "./guest.ts";
import { shellQuote } from "./quote.ts";

/** One line of `/proc/interrupts`. */
export interface GuestInterrupt {
  readonly irq: number;
  /** How often it came. */
  readonly count: number;
  /** Interrupt controller, for example `PCI-MSI`, `IO-APIC`, `XT-PIC`. */
  readonly chip: string;
  /** Who uses it, for example `virtio0-input.0`. */
  readonly users: readonly string[];
}

/** A virtio device as its Linux driver sees it. */
export interface DriverView {
  /** Name on the virtio bus: `virtio0`. */
  readonly device: string;
  /** Numbers of the negotiated feature bits, ascending. */
  readonly features: readonly number[];
  /** Device status, VIRTIO 1.4 section 2.1. */
  readonly status: number;
  /** `msi`: MSI-X vectors; `line`: an interrupt line, INTx or that of virtio-mmio. */
  readonly interruptMode: "msi" | "line" | "none";
  readonly interrupts: readonly GuestInterrupt[];
}

/**
 * Looks at the virtio device behind a network interface.
 *
 * @throws GuestError `COMMAND_FAILED` when the interface is none of virtio; as {@link Guest.exec}
 */
export async function features(guest: Guest, ifname: string = "eth0", options?: ExecOptions): Promise<DriverView> {
  const path = `/sys/class/net/${shellQuote(ifname)}/device`;
  const output = await guest.run(
    `basename "$(readlink -f ${path})"; cat ${path}/features ${path}/status /proc/interrupts`,
    options,
  );
  const [device, bits, status, ...lines] = output.split("\n");
  if (!/^virtio\d+$/.test(device)) throw new GuestError("COMMAND_FAILED", `${ifname} is no virtio device of the guest`);
  const interrupts = lines
    .flatMap(parseInterrupt)
    .filter((interrupt) => interrupt.users.some((user) => isOf(user, device)));
  const msi = interrupts.some((interrupt) => /MSI/.test(interrupt.chip));
  return {
    device,
    features: [...bits].flatMap((bit, index) => (bit === "1" ? [index] : [])),
    status: Number(status),
    interruptMode: msi ? "msi" : interrupts.length > 0 ? "line" : "none",
    interrupts,
  };
}

/** ` 11:   1234   XT-PIC   virtio0, virtio1` or ` 24:  5  PCI-MSI-0000:00:06.0  1-edge  virtio0-input.0` */
function parseInterrupt(line: string): GuestInterrupt[] {
  const match = /^\s*(\d+):\s+(\d+)\s+(\S+)\s+(?:\d+-\w+\s+)?(.*)$/.exec(line);
  if (!match) return [];
  const [, irq, count, chip, users] = match;
  return [{ irq: Number(irq), count: Number(count), chip, users: users.trim().split(/,\s*/) }];
}

function isOf(user: string, device: string): boolean {
  return user === device || user.startsWith(`${device}-`);
}
