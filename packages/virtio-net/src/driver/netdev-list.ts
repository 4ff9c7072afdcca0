/**
 * The network devices of a system, by number: uknetdev's registration. For systems with more than one.
 * @module
 */

import { DriverError } from "@virtio-ts/virtio-driver";
import type { Netdev } from "./netdev.ts";

/** Numbers are 16 bits wide. */
const IDS = 0x1_0000;

/** The operations that every network device must have. */
const OPERATIONS = [
  "probe",
  "configure",
  "rxqInfo",
  "txqInfo",
  "rxqConfigure",
  "txqConfigure",
  "start",
  "info",
] as const;

/** Network devices, each with its own number for the life of the list. */
export class NetdevList {
  readonly #netdevs: Netdev[] = [];

  /** Number of devices; their numbers are below it. */
  get count(): number {
    return this.#netdevs.length;
  }

  /**
   * Adds a network device.
   * @returns its number
   * @throws DriverError `no-memory` after 65536 devices; `invalid` for one that lacks an operation, or is in the list
   * already
   */
  register(netdev: Netdev): number {
    const lacking = OPERATIONS.find((name) => typeof netdev[name] !== "function");
    if (lacking !== undefined) throw new DriverError("invalid", `a network device without ${lacking}`);
    if (this.#netdevs.includes(netdev)) throw new DriverError("invalid", "the network device is registered already");
    if (this.#netdevs.length === IDS) throw new DriverError("no-memory", `${IDS} network devices are registered`);
    return this.#netdevs.push(netdev) - 1;
  }

  /** The network device with a number, or `null`. */
  get(id: number): Netdev | null {
    return this.#netdevs[id] ?? null;
  }
}
