/**
 * Translates failed system calls into failures a guest is told.
 * @module
 */

import type { HostFailure } from "../host-sockets.ts";

/** Translates Node's error codes. */
export function failureOf(error: Error): HostFailure {
  switch ((error as NodeJS.ErrnoException).code) {
    case "ECONNREFUSED":
      return "refused";
    case "ECONNRESET":
    case "EPIPE":
    case "ECONNABORTED":
      return "reset";
    case "ENETUNREACH":
    case "ENETDOWN":
    case "EADDRNOTAVAIL":
      return "network-unreachable";
    case "EHOSTUNREACH":
    case "EHOSTDOWN":
      return "host-unreachable";
    case "ETIMEDOUT":
      return "timed-out";
    case "EACCES":
    case "EPERM":
      return "prohibited";
    case "EMSGSIZE":
      return "too-large";
    default:
      return "failed";
  }
}
