/**
 * Forwards: ports of the host that lead to guests. They are checked against each other before any of them listens.
 * @module
 */

import { type ForwardOptions, requireInteger, type UserNetworkConfig } from "./config.ts";
import { UserNetworkError } from "./errors.ts";
import { formatIpv4, isHostOf, requireIpv4 } from "./ip/addresses.ts";

const LOOPBACK = "127.0.0.1";
/** Wildcard addresses; that of IPv6 includes IPv4. */
const ANY = ["0.0.0.0", "::"];

/** A port of the host that leads to a port of a guest, and listens. */
export interface Forward {
  readonly protocol: "tcp" | "udp";
  /** The host's address it is bound to. */
  readonly hostAddress: string;
  /** The host's port it is bound to. */
  readonly hostPort: number;
  /** The guest's current address: the configured one, else the one of the guest's lease. */
  readonly guestAddress: string;
  readonly guestPort: number;
  /** Stops listening; connections stay. */
  close(): void;
}

/** A checked forward, with its defaults filled in. */
export interface ForwardPlan {
  readonly protocol: "tcp" | "udp";
  readonly hostAddress: string;
  readonly hostPort: number;
  /** The guest's address; `undefined`: the forward follows the guest. */
  readonly guest: number | undefined;
  readonly guestPort: number;
}

/**
 * Checks a forward.
 * @throws UserNetworkError `BAD_ADDRESS`, `BAD_VALUE`
 */
export function planForward(config: UserNetworkConfig, options: ForwardOptions): ForwardPlan {
  if (options.protocol !== "tcp" && options.protocol !== "udp") {
    throw new UserNetworkError("BAD_VALUE", `protocol of a forward is "${options.protocol}": expected tcp or udp`);
  }
  const guest =
    options.guestAddress === undefined ? undefined : requireIpv4(options.guestAddress, "guestAddress of a forward");
  if (guest !== undefined && (!isHostOf(guest, config.subnet) || guest === config.gateway || guest === config.dns)) {
    throw new UserNetworkError(
      "BAD_ADDRESS",
      `guestAddress of a forward is ${formatIpv4(guest)}: expected a guest's, like ${formatIpv4(config.guest)}`,
    );
  }
  return {
    protocol: options.protocol,
    hostAddress: options.hostAddress ?? LOOPBACK,
    hostPort: requireInteger(options.hostPort, "hostPort of a forward", 0, 65535),
    guest,
    guestPort: requireInteger(options.guestPort, "guestPort of a forward", 1, 65535),
  };
}

/**
 * Checks a forward against others.
 * @throws UserNetworkError `OVERLAPPING_FORWARDS`
 */
export function checkOverlap(plan: ForwardPlan, others: Iterable<ForwardPlan>): void {
  if (plan.hostPort === 0) return;
  for (const other of others) {
    const sameAddress =
      plan.hostAddress === other.hostAddress || ANY.includes(plan.hostAddress) || ANY.includes(other.hostAddress);
    if (plan.protocol === other.protocol && plan.hostPort === other.hostPort && sameAddress) {
      throw new UserNetworkError(
        "OVERLAPPING_FORWARDS",
        `two forwards of ${plan.protocol} port ${plan.hostPort} of the host (${other.hostAddress} and ` +
          `${plan.hostAddress}): expected one of each`,
      );
    }
  }
}

/** The error for a host's refusal to listen. */
export function listenError(plan: ForwardPlan, cause: unknown): UserNetworkError {
  const isTaken = typeof cause === "object" && cause !== null && "code" in cause && cause.code === "EADDRINUSE";
  const what = `${plan.protocol} port ${plan.hostPort} of ${plan.hostAddress}`;
  if (isTaken)
    return new UserNetworkError("PORT_IN_USE", `${what} is taken: expected a free port, or 0 for any`, { cause });
  const reason = cause instanceof Error ? `: ${cause.message}` : "";
  return new UserNetworkError("LISTEN_FAILED", `can't listen on ${what}${reason}`, { cause });
}
