/**
 * Choosing features (VIRTIO 1.4, 2.2 and 6): the offered ones that the driver wants and can use. Drivers call it
 * through `DriverDevice.negotiate`.
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

/** The reserved features that this library can use: accepted if offered, unless the driver excludes them. */
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

/** Bits 24 to 49 are reserved by chapter 6; the others belong to device types (2.2). */
const RESERVED = feature(...Array.from({ length: 26 }, (_, i) => 24 + i));
const VERSION_1 = feature(VIRTIO_F_VERSION_1);
const LEGACY_BITS = 0xffff_ffffn;
const LEGACY_ONLY = feature(VIRTIO_F_ANY_LAYOUT);

/** The features that a driver asks for. Bits of device types only; the library handles those of chapter 6. */
export interface FeatureRequest {
  /** Features that the driver can use. */
  readonly wanted?: bigint;
  /** Features that the driver requires. */
  readonly required?: bigint;
  /** Features that depend on another one: `[feature, needs]`, as bit numbers. */
  readonly dependencies?: readonly (readonly [bit: number, needs: number])[];
  /** Reserved features (chapter 6) to exclude, although device and library support them. */
  readonly without?: bigint;
}

/**
 * The offered features that the driver accepts.
 * @param legacy whether the legacy interface is in use
 * @throws DriverError `no-version-1`; `not-supported` if a required feature is not offered or cannot be accepted
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

/** Drops features whose dependency is missing, and then the features that depend on those. */
function withoutOrphans(features: bigint, dependencies: NonNullable<FeatureRequest["dependencies"]>): bigint {
  let kept = features;
  let before: bigint;
  do {
    before = kept;
    for (const [bit, needs] of dependencies) if ((kept & feature(needs)) === 0n) kept &= ~feature(bit);
  } while (kept !== before);
  return kept;
}
