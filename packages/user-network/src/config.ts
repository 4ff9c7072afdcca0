/**
 * Options of a user-mode network: checks them once and derives the configuration.
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
  /** Its protocol. */
  readonly protocol: "tcp" | "udp";
  /** The host's address to listen on; `127.0.0.1` by default, because only the host itself is trusted. */
  readonly hostAddress?: string;
  /** The host's port; 0 for any. */
  readonly hostPort: number;
  /**
   * The guest's address. If absent, the forward follows the guest: to the first address that DHCP gives out if a guest
   * has been heard there, else to the address of the first lease, else to that of the only guest heard.
   */
  readonly guestAddress?: string;
  /** The guest's port. */
  readonly guestPort: number;
}

/** Limits on what a network holds for its guests. */
export interface UserNetworkLimits {
  /**
   * Maximum TCP connections; 16384. Above it the least useful one is evicted: first one that is over for both ends,
   * then one that is not established yet or half-closed, and last the one idle for longest, whose ends get an RST.
   */
  readonly tcpConnections: number;
  /**
   * Maximum TCP connections that wait for the host's answer; 1024. As many more may have come in at forwards and wait
   * for the guest's answer. Above it the oldest attempt is evicted.
   */
  readonly tcpBacklog: number;
  /** Maximum bytes held for the host per connection: the window that a guest sees; 1 MiB. */
  readonly tcpReceive: number;
  /** Bytes held for the guest per connection; above this the host's socket is paused; 1 MiB. */
  readonly tcpSend: number;
  /**
   * Bytes allocated for all connections together; 256 MiB. Above it no connection gets more than it needs to continue.
   * Data that was promised before, and one read of each host socket, may still come on top.
   */
  readonly tcpMemory: number;
  /**
   * Idle time after which a connection is cut, ms; 2 hours and 4 minutes (RFC 5382, REQ-5), so that a guest's
   * keep-alive comes in time. `Infinity` for never.
   */
  readonly tcpIdleMs: number;
  /** Maximum UDP flows (ports of guests); 1024. */
  readonly udpFlows: number;
  /** Idle time after which a flow is removed, ms; 3 minutes. `Infinity` for never. */
  readonly udpIdleMs: number;
  /** Maximum DNS questions that wait for the host's servers; 128. The oldest is evicted (SERVFAIL). */
  readonly dnsPending: number;
  /** Maximum cached DNS answers, each of at most 4 KiB; 1024. */
  readonly dnsCache: number;
  /** Maximum incomplete fragmented IP packets; 16. */
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

/** A way out of the network: a connection, a datagram, a question about a name. */
export type EgressProtocol = "tcp" | "udp" | "dns";

/**
 * Called before anything leaves for the host's side: decides whether the guest may send it. One function covers every
 * protocol, so that a policy which knows only some addresses or ports refuses everything else. Only `true` allows: a
 * policy that throws or returns a promise refuses.
 *
 * @param protocol - the way out; more may be added, so allow only those you know
 * @param destination - the address (`93.184.216.34`); for `dns` the name asked for, in lower case, without a dot at its
 * end, `""` for the root
 * @param port - the port; 53 for `dns`
 */
export type EgressPolicy = (protocol: EgressProtocol, destination: string, port: number) => boolean;

/** Options of a user-mode network. All have defaults; the addresses are those of QEMU's `-netdev user`. */
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
  /** The MAC address the NIC should have; by default the NIC chooses it. */
  readonly guestMac?: Uint8Array;
  /** The largest IP packet, bytes, 576 to 65535; 1500. */
  readonly mtu?: number;
  /** Whether the gateway's address leads to the host's loopback (127.0.0.1); `false` by default. */
  readonly hostLoopback?: boolean;
  /** The name DHCP gives to guests. */
  readonly hostname?: string;
  /** The domain DHCP gives to guests. */
  readonly domain?: string;
  /** The network boot information that DHCP and BOOTP give guests; none by default. */
  readonly boot?: BootOption;
  /**
   * Files that guests may fetch from the gateway by TFTP: by path without a leading slash, or a function of the
   * requested path. There is no TFTP server by default.
   */
  readonly tftp?: TftpFiles;
  /** Duration of DHCP leases, seconds; a day. */
  readonly leaseSeconds?: number;
  /**
   * Names that the name server answers itself, with their addresses. It answers PTR questions for these addresses too.
   */
  readonly names?: Readonly<Record<string, string>>;
  /** Ports of the host that lead to guests. */
  readonly forwards?: readonly ForwardOptions[];
  /** Decides what a guest may reach; by default all that the host reaches. */
  readonly allow?: EgressPolicy;
  /** Called when a table entry ends, with the reason, and when code that is not the network's own fails. */
  readonly trace?: UserNetworkTrace;
  /** Limits that replace the defaults. */
  readonly limits?: Partial<UserNetworkLimits>;
}

/** Options with all defaults filled in and all texts parsed. */
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
  /** The first configured name of each address. */
  readonly owners: ReadonlyMap<number, string>;
  readonly allow: EgressPolicy | undefined;
  readonly trace: UserNetworkTrace | undefined;
  readonly limits: UserNetworkLimits;
}

/**
 * Checks options and fills in the defaults.
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
