/**
 * What a guest does with its network: bring an interface up by DHCP, ping, look a name up.
 *
 * @module
 */
import type { ExecOptions } from "./channel.ts";
import { GuestError } from "./errors.ts";
import type { Guest } from "./guest.ts";
import { LEASE_FILE } from "./guest-scripts.ts";
import { shellQuote } from "./quote.ts";

/** One of the guest's network interfaces. */
export interface GuestInterface {
  readonly name: string;
  /** `52:54:00:12:34:56` */
  readonly mac: string;
  readonly mtu: number;
  /** Kernel driver, for example `virtio_net`; empty for the loopback interface. */
  readonly driver: string;
  /** Where its device is: `0000:00:06.0` on PCI, for example `LNRO0005:00` on virtio-mmio; empty when nowhere. */
  readonly location: string;
}

/** What the guest got by DHCP. */
export interface Lease {
  readonly address: string;
  readonly prefixLength: number;
  readonly routers: readonly string[];
  readonly dns: readonly string[];
  readonly domain: string;
  readonly server: string;
  /** Seconds that the lease is good for. */
  readonly leaseSeconds: number;
  /** What the interface was set to, when the server said anything about it. */
  readonly mtu: number | undefined;
}

/** What `ping` counted. Times are undefined when no answer came. */
export interface PingResult {
  readonly sent: number;
  readonly received: number;
  readonly minMs: number | undefined;
  readonly avgMs: number | undefined;
  readonly maxMs: number | undefined;
}

/** Options of {@link ping}. */
export interface PingOptions extends ExecOptions {
  /** Default: 4. */
  readonly count?: number;
  /** Between two pings, whether or not an answer came. Default: 1000. */
  readonly intervalMs?: number;
  /** Send the next one as soon as the answer is there. */
  readonly adaptive?: boolean;
  /** Payload bytes. Default: 56. */
  readonly size?: number;
}

/** The guest's interfaces, in the kernel's order. */
export async function interfaces(guest: Guest, options?: ExecOptions): Promise<GuestInterface[]> {
  const script = `for path in /sys/class/net/*; do
  device=$(readlink -f $path/device 2>/dev/null)
  driver=$(readlink -f $path/device/driver 2>/dev/null)
  echo "\${path##*/}|$(cat $path/address)|$(cat $path/mtu)|\${driver##*/}|$(basename "$(dirname "$device")")"
done`;
  const output = await guest.run(script, options);
  return output
    .split("\n")
    .filter(Boolean)
    .map((line) => {
      const [name, mac, mtu, driver, location] = line.split("|");
      return { name, mac, mtu: Number(mtu), driver, location: driver === "" ? "" : location };
    });
}

/**
 * Gets a lease for an interface and configures address, route and resolver. The lease is not renewed.
 *
 * @throws GuestError `COMMAND_FAILED` when no server answers; as {@link Guest.exec}
 */
export async function bringUpNetwork(guest: Guest, ifname: string = "eth0", options?: ExecOptions): Promise<Lease> {
  const name = shellQuote(ifname);
  await guest.run(`ip link set ${name} up && udhcpc -i ${name} -n -q -t 8 -T 1`, options);
  return parseLease(await guest.run(`cat ${LEASE_FILE}`, options));
}

/**
 * Sets an address by hand, for networks without DHCP.
 *
 * @param address with its prefix length: `10.0.2.15/24`
 */
export async function configureAddress(
  guest: Guest,
  ifname: string,
  address: string,
  router?: string,
  options?: ExecOptions,
): Promise<void> {
  const name = shellQuote(ifname);
  const route = router === undefined ? "" : ` && ip route replace default via ${shellQuote(router)} dev ${name}`;
  await guest.run(`ip addr replace ${shellQuote(address)} dev ${name} && ip link set ${name} up${route}`, options);
}

/**
 * Pings from the guest. Lost packets are a result, not an error.
 *
 * @throws GuestError `COMMAND_FAILED` when ping could not even send; as {@link Guest.exec}
 */
export async function ping(guest: Guest, address: string, options: PingOptions = {}): Promise<PingResult> {
  const { count = 4, intervalMs, adaptive, size, ...exec } = options;
  const flags = ["-q", `-c ${count}`, "-W 2"];
  if (intervalMs !== undefined) flags.push(`-i ${intervalMs / 1000}`);
  if (adaptive) flags.push("-A");
  if (size !== undefined) flags.push(`-s ${size}`);
  const command = `ping ${flags.join(" ")} ${shellQuote(address)}`;
  const { output } = await guest.exec(command, exec);
  const counts = /(\d+) packets transmitted, (\d+) packets received/.exec(output);
  if (!counts) throw new GuestError("COMMAND_FAILED", `the guest's ${command} failed: ${output.trim()}`);
  const times = /min\/avg\/max = ([\d.]+)\/([\d.]+)\/([\d.]+) ms/.exec(output);
  return {
    sent: Number(counts[1]),
    received: Number(counts[2]),
    minMs: times ? Number(times[1]) : undefined,
    avgMs: times ? Number(times[2]) : undefined,
    maxMs: times ? Number(times[3]) : undefined,
  };
}

/**
 * Looks a name up with the guest's resolver.
 *
 * @returns its addresses; none when the name does not exist or no server answers
 */
export async function resolve(guest: Guest, name: string, options?: ExecOptions): Promise<string[]> {
  const { output } = await guest.exec(`nslookup ${shellQuote(name)}`, options);
  // The server's own address comes first, in a paragraph of its own.
  const answer = output.slice(Math.max(0, output.indexOf("\n\n")));
  return [...answer.matchAll(/^Address(?: \d+)?:\s*([\da-f.:]+)/gim)].map((match) => match[1]);
}

function parseLease(text: string): Lease {
  const values = new Map(text.split("\n").map((line) => line.split(/=(.*)/s, 2) as [string, string]));
  const value = (name: string): string => values.get(name) ?? "";
  const list = (name: string): string[] => value(name).split(" ").filter(Boolean);
  return {
    address: value("ip"),
    prefixLength: Number(value("mask")),
    routers: list("router"),
    dns: list("dns"),
    domain: value("domain"),
    server: value("serverid"),
    leaseSeconds: Number(value("lease")),
    mtu: value("mtu") === "" ? undefined : Number(value("mtu")),
  };
}
