/**
 * The saved state of a NIC, and its checks. For {@link NetDevice}.
 * @module
 */

import { RestoreError } from "@virtio-ts/virtio-device";

/** Plain data that `NetDevice.save` returns. */
export interface NetDeviceState {
  readonly version: 1;
  /** The address in configuration space. */
  readonly mac: readonly number[];
  /** The address after a reset. */
  readonly ownMac: readonly number[];
  /** Largest IP packet, bytes. */
  readonly mtu: number;
  /** Whether its own switch is on. */
  readonly linkUp: boolean;
  /** Whether its driver sees a carrier. */
  readonly carrier: boolean;
}

/** Checks the saved state of a NIC, and copies it. */
export function parseNetState(state: unknown): NetDeviceState {
  const s = state as Readonly<Record<string, unknown>> | null | undefined;
  if (s?.version !== 1) {
    throw new RestoreError("version", "not the saved state of a network device, version 1");
  }
  const { mtu, linkUp, carrier } = s;
  if (typeof mtu !== "number" || typeof linkUp !== "boolean" || typeof carrier !== "boolean") {
    throw new RestoreError("shape", "the saved state of a network device lacks mtu, linkUp or carrier");
  }
  return { version: 1, mac: parseMac(s.mac), ownMac: parseMac(s.ownMac), mtu, linkUp, carrier };
}

function parseMac(value: unknown): readonly number[] {
  const isSix = Array.isArray(value) && value.length === 6;
  // Copied by index, because `every` skips the holes of a sparse array.
  const mac: readonly unknown[] = isSix ? Array.from(value) : [];
  const isByte = (b: unknown): b is number => Number.isInteger(b) && (b as number) >= 0 && (b as number) < 256;
  if (!isSix || !mac.every(isByte)) throw new RestoreError("shape", "a saved address is not 6 bytes");
  return mac;
}
