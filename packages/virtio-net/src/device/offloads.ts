/**
 * What the negotiated features allow a frame to leave undone, in either direction: VIRTIO 1.4, 5.1.3.1 (the
 * features' dependencies) and 5.1.6.2 (the fields of the header).
 * @module
 */

import { OFFLOAD_CSUM, OFFLOAD_TSO4, OFFLOAD_TSO6 } from "@virtio-ts/net-backends";
import {
  VIRTIO_NET_F_CSUM,
  VIRTIO_NET_F_GUEST_CSUM,
  VIRTIO_NET_F_GUEST_TSO4,
  VIRTIO_NET_F_GUEST_TSO6,
  VIRTIO_NET_F_HOST_TSO4,
  VIRTIO_NET_F_HOST_TSO6,
} from "../layout/index.ts";

/** Pairs of features of which the first needs the second (5.1.3.1). */
const REQUIRES: readonly (readonly [feature: number, needs: number])[] = [
  [VIRTIO_NET_F_GUEST_TSO4, VIRTIO_NET_F_GUEST_CSUM],
  [VIRTIO_NET_F_GUEST_TSO6, VIRTIO_NET_F_GUEST_CSUM],
  [VIRTIO_NET_F_HOST_TSO4, VIRTIO_NET_F_CSUM],
  [VIRTIO_NET_F_HOST_TSO6, VIRTIO_NET_F_CSUM],
];

const has = (features: bigint, bit: number): boolean => ((features >> BigInt(bit)) & 1n) === 1n;

/** Whether each feature of the set has the features it needs. */
export function featuresConsistent(features: bigint): boolean {
  return REQUIRES.every(([bit, needs]) => !has(features, bit) || has(features, needs));
}

/** The features without those whose needs are not met. */
export function consistentFeatures(features: bigint): bigint {
  let set = features;
  for (const [bit, needs] of REQUIRES) if (!has(set, needs)) set &= ~(1n << BigInt(bit));
  return set;
}

/** The offloads a driver may ask of the device when it transmits. */
export function transmitOffloads(features: bigint): number {
  return (
    (has(features, VIRTIO_NET_F_CSUM) ? OFFLOAD_CSUM : 0) |
    (has(features, VIRTIO_NET_F_HOST_TSO4) ? OFFLOAD_TSO4 : 0) |
    (has(features, VIRTIO_NET_F_HOST_TSO6) ? OFFLOAD_TSO6 : 0)
  );
}

/** The offloads the driver does itself when it receives. */
export function receiveOffloads(features: bigint): number {
  return (
    (has(features, VIRTIO_NET_F_GUEST_CSUM) ? OFFLOAD_CSUM : 0) |
    (has(features, VIRTIO_NET_F_GUEST_TSO4) ? OFFLOAD_TSO4 : 0) |
    (has(features, VIRTIO_NET_F_GUEST_TSO6) ? OFFLOAD_TSO6 : 0)
  );
}
