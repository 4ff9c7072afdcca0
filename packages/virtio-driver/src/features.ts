/**
 * Choosing features (VIRTIO 1.4, 2.2 and 6): of what the device offers, what the driver wants and can use. For drivers,
 * by way of `DriverDevice.negotiate`.
 * @module
 */

import {
  feature,
  VIRTIO_F_ACCESS_PLATFORM,
  VIRTIO_F_ANY_LAYOUT,
  VIRTIO_F_EVENT_IDX,
  VIRTIO_F_IN_ORDER,
  VIRTIO_F_INDIRECT_DESC,
  VIRTIO_F_NOTIF_CONFIG_DATA,
  VIRTIO_F_NOTIFICATION_DATA,
  VIRTIO_F_ORDER_PLATFORM,
  VIRTIO_F_RING_PACKED,
  VIRTIO_F_RING_RESET,
  VIRTIO_F_SUSPEND,
  VIRTIO_F_VERSION_1,
} from "@virtio-ts/virtio-bindings";
import { DriverError } from "./errors.ts";

/** The reserved features this library knows how to use: accepted where they are offered, unless the driver says no. */
export const LIBRARY_FEATURES: bigint = feature(
  VIRTIO_F_ANY_LAYOUT,
  VIRTIO_F_INDIRECT_DESC,
  VIRTIO_F_EVENT_IDX,
  VIRTIO_F_ACCESS_PLATFORM,
  VIRTIO_F_RING_PACKED,
  VIRTIO_F_IN_ORDER,
  VIRTIO_F_ORDER_PLATFORM,
  VIRTIO_F_NOTIFICATION_DATA,
  VIRTIO_F_NOTIF_CONFIG_DATA,
  VIRTIO_F_RING_RESET,
  VIRTIO_F_SUSPEND,
);

/** Bits 24 to 49 are reserved by chapter 6; what is around them belongs to device types (2.2). */
const RESERVED = feature(...Array.from({ length: 26 }, (_, i) => 24 + i));
const VERSION_1 = feature(VIRTIO_F_VERSION_1);
const LEGACY_BITS = 0xffff_ffffn;
const LEGACY_ONLY = feature(VIRTIO_F_ANY_LAYOUT);

/** What a driver asks of its device. Bits of device types only; those of chapter 6 are the library's. */
export interface FeatureRequest {
  /** Features it can use. */
  readonly wanted?: bigint;
  /** Features it can't do without. */
  readonly required?: bigint;
  /** Features that need another one: `[feature, needs]`, as bit numbers. */
  readonly dependencies?: readonly (readonly [bit: number, needs: number])[];
  /** Reserved features (chapter 6) it does not want, though device and library have them. */
  readonly without?: bigint;
}

/**
 * What the driver accepts of what the device offers.
 * @param legacy whether the legacy interface is in use
 * @throws DriverError `no-version-1`; `not-supported` where a required feature is not offered, or can't be accepted
 */
export function chooseFeatures(offered: bigint, legacy: boolean, request: FeatureRequest): bigint {
  if (!legacy && (offered & VERSION_1) === 0n) {
    throw new DriverError("no-version-1", `a modern interface offers 0x${offered.toString(16)}, without VERSION_1`);
  }
  const required = request.required ?? 0n;
  const own = ((request.wanted ?? 0n) | required) & ~RESERVED;
  const library = (LIBRARY_FEATURES & ~(request.without ?? 0n)) | VERSION_1;
  const possible = legacy ? LEGACY_BITS & ~VERSION_1 : ~LEGACY_ONLY;
  const chosen = withoutOrphans(offered & (own | library) & possible, request.dependencies ?? []);
  const missing = required & ~chosen;
  if (missing !== 0n) {
    throw new DriverError("not-supported", `required features 0x${missing.toString(16)} are not to be had`);
  }
  return chosen;
}

/** Drops what needs a feature that is not there, and then what needed that. */
function withoutOrphans(features: bigint, dependencies: NonNullable<FeatureRequest["dependencies"]>): bigint {
  let kept = features;
  let before: bigint;
  do {
    before = kept;
    for (const [bit, needs] of dependencies) if ((kept & feature(needs)) === 0n) kept &= ~feature(bit);
  } while (kept !== before);
  return kept;
}
