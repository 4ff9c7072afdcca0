/**
 * A NIC's configuration space, with invalid values left out: VIRTIO 1.4, 5.1.4. Part of the NIC driver.
 * @module
 */

import type { DeviceConfig } from "@virtio-ts/virtio-driver";
import {
  CONFIG_DUPLEX,
  CONFIG_MAC,
  CONFIG_MAX_QUEUE_PAIRS,
  CONFIG_MTU,
  CONFIG_RSS_MAX_KEY_SIZE,
  CONFIG_SPEED,
  CONFIG_STATUS,
  CONFIG_SUPPORTED_HASH_TYPES,
  MTU_MIN,
  QUEUE_PAIRS_MAX,
} from "../layout/index.ts";

/** Largest valid value of `speed`. */
const SPEED_MAX = 0x7fff_ffff;

/** Whether an address is valid for a NIC: 6 bytes, not a multicast address, not 0. */
export function isUnicast(mac: Uint8Array): boolean {
  return mac instanceof Uint8Array && mac.length === 6 && (mac[0] & 1) === 0 && mac.some((byte) => byte !== 0);
}

/** A random, locally administered address. */
export function randomMac(): Uint8Array {
  const mac = Uint8Array.from({ length: 6 }, () => Math.floor(Math.random() * 256));
  mac[0] = (mac[0] & 0xfe) | 2;
  return mac;
}

/** The fields of one NIC. A field that is missing or invalid reads as `null`. */
export class NetConfig {
  readonly #config: DeviceConfig;

  constructor(config: DeviceConfig) {
    this.#config = config;
  }

  /** `mac`. @throws DriverError `timeout` */
  get mac(): Uint8Array | null {
    if (!this.#config.has(CONFIG_MAC, 6)) return null;
    const mac = this.#config.readBytes(CONFIG_MAC, 6);
    return isUnicast(mac) ? mac : null;
  }

  /** `status`. */
  get status(): number | null {
    return this.#read16(CONFIG_STATUS);
  }

  /** `mtu`, bytes. */
  get mtu(): number | null {
    const mtu = this.#read16(CONFIG_MTU);
    return (mtu ?? 0) >= MTU_MIN ? mtu : null;
  }

  /** `max_virtqueue_pairs`. */
  get queuePairs(): number | null {
    const pairs = this.#read16(CONFIG_MAX_QUEUE_PAIRS);
    return (pairs ?? 0) >= 1 && (pairs ?? 0) <= QUEUE_PAIRS_MAX ? pairs : null;
  }

  /** `speed`, Mbit/s; `null` while it is unknown. */
  get speed(): number | null {
    if (!this.#config.has(CONFIG_SPEED, 4)) return null;
    const speed = this.#config.read32(CONFIG_SPEED);
    return speed <= SPEED_MAX ? speed : null;
  }

  /** `duplex`; `null` while it is unknown. */
  get duplex(): "half" | "full" | null {
    if (!this.#config.has(CONFIG_DUPLEX, 1)) return null;
    return (["half", "full"] as const)[this.#config.read8(CONFIG_DUPLEX)] ?? null;
  }

  /** `supported_hash_types` and the longest key, bytes. */
  get hashes(): { readonly types: number; readonly keyBytes: number } | null {
    if (!this.#config.has(CONFIG_SUPPORTED_HASH_TYPES, 4)) return null;
    const types = this.#config.read32(CONFIG_SUPPORTED_HASH_TYPES);
    return { types, keyBytes: this.#config.read8(CONFIG_RSS_MAX_KEY_SIZE) };
  }

  #read16(offset: number): number | null {
    return this.#config.has(offset, 2) ? this.#config.read16(offset) : null;
  }
}
