/**
 * How a user-mode network is configured: what the user may say, checked once, and what follows from it.
 * @module
 */

import { type Boot, type BootClient, type BootOption, type NetworkBoot, readBoot } from "./dhcp/boot.ts";
import type { TftpFiles } from "./dhcp/tftp.ts";
import { isName } from "./dns/names.ts";
import { UserNetworkError } from "./errors.ts";
import { formatIpv4, isHostOf, requireIpv4, requireMac, requireSubnet, type Subnet } from "./ip/addresses.ts";
import type { UserNetworkTrace } from "./trace.ts";

/** A port of the host that leads to a port of a guest. */
export interface ForwardOptions {
  /** Of which protocol. */
  readonly protocol: "tcp" | "udp";
  /** The host's address to listen on; `127.0.0.1` unless said otherwise, for only the host itself is trusted. */
  readonly hostAddress?: string;
  /** The host's port; 0 for any. */
  readonly hostPort: number;
  /**
   * The guest's address. Without one it is the guest's, wherever it is: the one DHCP gives out first while somebody
   * speaks from there, else that of the first lease, else that of the only guest heard of.
   */
  readonly guestAddress?: string;
  /** The guest's port. */
  readonly guestPort: number;
}

/** Bounds of what a network holds for its guests. */
export interface UserNetworkLimits {
  /**
   * TCP connections at a time; 16384. Above, the least useful one gives way: one that is over for both ends, one that is
   * not established yet or half-closed, and at last the one idle for longest, whose ends get an RST.
   */
  readonly tcpConnections: number;
  /**
   * TCP connections at a time that wait for the host's answer; 1024. And as many that came in at forwards and wait for the
   * guest's. Above, the oldest attempt gives way.
   */
  readonly tcpBacklog: number;
  /** Bytes held for the host of one connection, which is the window a guest sees; 1 MiB. */
  readonly tcpReceive: number;
  /** Bytes held for the guest of one connection, above which the host's socket is no longer read; 1 MiB. */
  readonly tcpSend: number;
  /**
   * Bytes held by all connections together, above which none gets more than it needs to go on; 256 MiB. What was
   * promised by then, and a read of each host's socket, may still come on top.
   */
  readonly tcpMemory: number;
  /**
   * After so long without a segment a connection is cut, ms; 2 hours and 4 minutes (RFC 5382, REQ-5), so that a guest's
   * keep-alive comes in time. `Infinity` for never.
   */
  readonly tcpIdleMs: number;
  /** UDP flows (ports of guests) at a time; 1024. */
  readonly udpFlows: number;
  /** After so long without a datagram a flow is forgotten, ms; 3 minutes. `Infinity` for never. */
  readonly udpIdleMs: number;
  /** DNS questions that wait for the host's servers, at a time; 128. The oldest gives way (SERVFAIL). */
  readonly dnsPending: number;
  /** DNS answers kept while they are good, 4 KiB each at most; 1024. */
  readonly dnsCache: number;
  /** Fragmented IP packets that are not whole yet, at a time; 16. */
  readonly fragmentedPackets: number;
}

const DEFAULT_LIMITS: UserNetworkLimits = {
  tcpConnections: 16_384,
  tcpBacklog: 1024,
  tcpReceive: 0x10_0000,
  tcpSend: 0x10_0000,
  tcpMemory: 0x1000_0000,
  tcpIdleMs: 7_440_000,
  udpFlows: 1024,
  udpIdleMs: 180_000,
  dnsPending: 128,
  dnsCache: 1024,
  fragmentedPackets: 16,
};

/** A road out of the network: a connection, a datagram, a question about a name. */
export type EgressProtocol = "tcp" | "udp" | "dns";

/**
 * Asked before anything leaves for the host's side: whether a guest may. One function covers every road, so that what
 * knows no more than some addresses or ports closes all others. Only `true` is a yes: one that throws or answers with
 * a promise has refused.
 *
 * @param protocol - by which road; more may come, so allow those you know
 * @param destination - the address (`93.184.216.34`); for `dns` the name that is asked for, in lower case, without a
 *   dot at its end, `""` for the root
 * @param port - the port; 53 for `dns`
 */
export type EgressPolicy = (protocol: EgressProtocol, destination: string, port: number) => boolean;

/** What a user may say of a network. All of it has a default, the addresses those of QEMU's `-netdev user`. */
export interface UserNetworkOptions {
  /** The guests' network; `10.0.2.0/24`. */
  readonly subnet?: string;
  /** The gateway's address; the third of the subnet, `10.0.2.2`. */
  readonly gateway?: string;
  /** The name server's address; the fourth of the subnet, `10.0.2.3`. */
  readonly dns?: string;
  /** The first address DHCP gives out; the sixteenth of the subnet, `10.0.2.15`, or the fifth of a small one. */
  readonly guest?: string;
  /** The gateway's MAC address; `52:55:0a:00:02:02`, the last four bytes being the gateway's address. */
  readonly gatewayMac?: Uint8Array;
  /** The MAC address the NIC should have; its own choice unless said. */
  readonly guestMac?: Uint8Array;
  /** The largest IP packet, bytes, 576 to 65535; 1500. */
  readonly mtu?: number;
  /** Whether the gateway's address leads to the host's loopback (127.0.0.1); not unless asked for. */
  readonly hostLoopback?: boolean;
  /** The name DHCP gives to guests. */
  readonly hostname?: string;
  /** The domain DHCP gives to guests. */
  readonly domain?: string;
  /** What DHCP and BOOTP tell guests about booting from the network; nothing unless given. */
  readonly boot?: BootOption;
  /**
   * Files that guests may fetch from the gateway by TFTP, by path without a slash in front, or a function of the path as
   * it was asked for. There is no TFTP server unless given.
   */
  readonly tftp?: TftpFiles;
  /** How long DHCP's leases last, seconds; a day. */
  readonly leaseSeconds?: number;
  /** Names answered by the name server itself, and their addresses; so are the names of these addresses (PTR). */
  readonly names?: Readonly<Record<string, string>>;
  /** Ports of the host that lead to guests. */
  readonly forwards?: readonly ForwardOptions[];
  /** What a guest may reach; all that the host reaches unless given. */
  readonly allow?: EgressPolicy;
  /** Told what ended, and why, and what failed that is not the network's own. */
  readonly trace?: UserNetworkTrace;
  /** Bounds, where the defaults do not suit. */
  readonly limits?: Partial<UserNetworkLimits>;
}

/** Options with all defaults filled in and all texts read. */
export interface UserNetworkConfig {
  readonly subnet: Subnet;
  readonly gateway: number;
  readonly dns: number;
  readonly guest: number;
  readonly gatewayMac: Uint8Array;
  readonly guestMac: Uint8Array | undefined;
  readonly mtu: number;
  readonly hostLoopback: boolean;
  readonly hostname: string | undefined;
  readonly domain: string | undefined;
  readonly boot: Boot | ((client: BootClient) => NetworkBoot | undefined) | undefined;
  readonly tftp: TftpFiles | undefined;
  readonly leaseSeconds: number;
  /** Addresses by name, in lower case. */
  readonly names: ReadonlyMap<string, string>;
  /** The name of an address, the first that was given. */
  readonly owners: ReadonlyMap<number, string>;
  readonly allow: EgressPolicy | undefined;
  readonly trace: UserNetworkTrace | undefined;
  readonly limits: UserNetworkLimits;
}

/**
 * Checks options and fills in what was left out.
 * @throws UserNetworkError `BAD_SUBNET`, `BAD_ADDRESS`, `BAD_VALUE`
 */
export function readOptions(options: UserNetworkOptions): UserNetworkConfig {
  const subnet = requireSubnet(options.subnet ?? "10.0.2.0/24");
  const address = (text: string | undefined, what: string, standard: number): number => {
    const value = text === undefined ? subnet.base + standard : requireIpv4(text, what);
    if (!isHostOf(value, subnet)) {
      const first = formatIpv4(subnet.base + 1);
      const last = formatIpv4(subnet.broadcast - 1);
      throw new UserNetworkError("BAD_ADDRESS", `${what} is ${formatIpv4(value)}: expected one of ${first} to ${last}`);
    }
    return value;
  };
  const gateway = address(options.gateway, "gateway", 2);
  const dns = address(options.dns, "dns", 3);
  const guest = address(options.guest, "guest", subnet.bits > 27 ? 4 : 15);
  if (gateway === dns || gateway === guest || dns === guest) {
    throw new UserNetworkError(
      "BAD_ADDRESS",
      `gateway ${formatIpv4(gateway)}, dns ${formatIpv4(dns)} and guest ${formatIpv4(guest)}: expected three addresses`,
    );
  }
  const names = new Map<string, string>();
  const owners = new Map<number, string>();
  for (const [given, value] of Object.entries({ localhost: "127.0.0.1", ...options.names })) {
    const address = requireIpv4(value, `the address of "${given}"`);
    const name = given.toLowerCase().replace(/\.$/, "");
    if (!isName(name)) {
      throw new UserNetworkError(
        "BAD_VALUE",
        `a name is ${JSON.stringify(given)}: expected labels of 1 to 63 ASCII letters joined by dots, 253 in all`,
      );
    }
    names.set(name, value);
    if (!owners.has(address)) owners.set(address, name);
  }
  return {
    subnet,
    gateway,
    dns,
    guest,
    gatewayMac: options.gatewayMac === undefined ? defaultMac(gateway) : requireMac(options.gatewayMac, "gatewayMac"),
    guestMac: options.guestMac === undefined ? undefined : requireMac(options.guestMac, "guestMac"),
    mtu: requireInteger(options.mtu ?? 1500, "mtu", 576, 65535),
    hostLoopback: options.hostLoopback ?? false,
    hostname: requireText(options.hostname, "hostname"),
    domain: requireText(options.domain, "domain"),
    boot: typeof options.boot === "object" ? readBoot(options.boot, gateway) : options.boot,
    tftp: options.tftp,
    leaseSeconds: requireInteger(options.leaseSeconds ?? 86_400, "leaseSeconds", 60, 0xffff_fffe),
    names,
    owners,
    allow: options.allow,
    trace: options.trace,
    limits: readLimits(options.limits ?? {}),
  };
}

/**
 * Checks a number.
 * @throws UserNetworkError `BAD_VALUE`
 */
export function requireInteger(value: number, what: string, min: number, max: number): number {
  if (!Number.isInteger(value) || value < min || value > max) {
    throw new UserNetworkError("BAD_VALUE", `${what} is ${value}: expected an integer from ${min} to ${max}`);
  }
  return value;
}

function readLimits(limits: Partial<UserNetworkLimits>): UserNetworkLimits {
  const given = { ...DEFAULT_LIMITS };
  for (const key of Object.keys(DEFAULT_LIMITS) as (keyof UserNetworkLimits)[]) {
    const value = limits[key];
    if (value === undefined) continue;
    const isNever = value === Number.POSITIVE_INFINITY && (key === "tcpIdleMs" || key === "udpIdleMs");
    Object.assign(given, { [key]: isNever ? value : requireInteger(value, `limits.${key}`, 1, 0x3fff_ffff) });
  }
  return given;
}

/** DHCP's text options are ASCII with a length of one byte (RFC 2132, 3.14). */
function requireText(text: string | undefined, what: string): string | undefined {
  if (text !== undefined && !/^[\x21-\x7e]{1,253}$/.test(text)) {
    throw new UserNetworkError("BAD_VALUE", `${what} is ${JSON.stringify(text)}: expected 1 to 253 ASCII letters`);
  }
  return text;
}

function defaultMac(gateway: number): Uint8Array {
  return Uint8Array.of(0x52, 0x55, gateway >>> 24, (gateway >>> 16) & 255, (gateway >>> 8) & 255, gateway & 255);
}
