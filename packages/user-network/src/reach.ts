/**
 * Where a guest may go: the one place that decides it.
 * @module
 */

import { formatIpv4, inSubnet, isMany, isNeverDialled } from "./ip/addresses.ts";
import type { Stack } from "./stack.ts";

/** Why a destination is out of reach. */
export type OutOfReach =
  /** It names many machines: nobody is told. */
  | "group"
  /** It is the gateway or the name server, which do not serve that port. */
  | "closed"
  /** It would be another guest, who is not behind the gateway. */
  | "neighbour"
  /** It is not allowed. */
  | "prohibited";

const LOOPBACK = "127.0.0.1";

/**
 * The host's address that a guest means by a destination.
 * @returns what to dial, or why not
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
