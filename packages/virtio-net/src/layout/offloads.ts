/**
 * The offloads that the negotiated features allow, in either direction: VIRTIO 1.4, 5.1.6.2.
 * @module
 */

import { OFFLOAD_CSUM, OFFLOAD_ECN, OFFLOAD_TSO4, OFFLOAD_TSO6 } from "@virtio-ts/net-link";
import { hasFeature as has } from "./feature-needs.ts";
import {
  VIRTIO_NET_F_CSUM,
  VIRTIO_NET_F_GUEST_CSUM,
  VIRTIO_NET_F_GUEST_ECN,
  VIRTIO_NET_F_GUEST_TSO4,
  VIRTIO_NET_F_GUEST_TSO6,
  VIRTIO_NET_F_HOST_ECN,
  VIRTIO_NET_F_HOST_TSO4,
  VIRTIO_NET_F_HOST_TSO6,
} from "./features.ts";

/** The offloads that a driver may ask of the device when it transmits, as `OFFLOAD_*`. */
export function transmitOffloads(features: bigint): number {
  return (
    (has(features, VIRTIO_NET_F_CSUM) ? OFFLOAD_CSUM : 0) |
    (has(features, VIRTIO_NET_F_HOST_TSO4) ? OFFLOAD_TSO4 : 0) |
    (has(features, VIRTIO_NET_F_HOST_TSO6) ? OFFLOAD_TSO6 : 0) |
    (has(features, VIRTIO_NET_F_HOST_ECN) ? OFFLOAD_ECN : 0)
  );
}

/** The offloads that the driver does itself when it receives, as `OFFLOAD_*`. */
export function receiveOffloads(features: bigint): number {
  return (
    (has(features, VIRTIO_NET_F_GUEST_CSUM) ? OFFLOAD_CSUM : 0) |
    (has(features, VIRTIO_NET_F_GUEST_TSO4) ? OFFLOAD_TSO4 : 0) |
    (has(features, VIRTIO_NET_F_GUEST_TSO6) ? OFFLOAD_TSO6 : 0) |
    (has(features, VIRTIO_NET_F_GUEST_ECN) ? OFFLOAD_ECN : 0)
  );
}
