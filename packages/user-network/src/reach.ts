/**
 * Decides which destinations a guest may reach; nothing else does.
 * @module
 */

import { formatIpv4, inSubnet, isMany, isNeverDialled } from "./ip/addresses.ts";
import type { Stack } from "./stack.ts";

/** Why a destination is out of reach. */
export type OutOfReach =
  /** A multicast or broadcast address: the guest gets no error. */
  | "group"
  /** The gateway or the name server, which do not serve that port. */
  | "closed"
  /** Another guest's address, which is not behind the gateway. */
  | "neighbour"
  /** Not allowed. */
  | "prohibited";

const LOOPBACK = "127.0.0.1";

/**
 * Translates a guest's destination to the host's address.
 * @returns the address to dial, or why it is out of reach
 */
export function reach(
  stack: Stack,
  protocol: "tcp" | "udp",
  destination: number,
  port: number,
): { readonly address: string } | OutOfReach {
  const { config } = stack;
  if (isMany(destination, config.subnet)) return "group";
  if (destination === config.dns) return "closed";
  let address: string;
  if (destination === config.gateway) {
    if (!config.hostLoopback || port === 0) return "closed";
    address = LOOPBACK;
  } else {
    if (inSubnet(destination, config.subnet)) return "neighbour";
    if (isNeverDialled(destination) || port === 0) return "prohibited";
    address = formatIpv4(destination);
  }
  return stack.allows(protocol, address, port) ? { address } : "prohibited";
}
