/**
 * The layout of packets and their headers in buffers, by the negotiated features: VIRTIO 1.4, 5.1.6 and 5.1.6.3.1.
 * @module
 */

import { VIRTIO_F_ANY_LAYOUT, VIRTIO_F_VERSION_1 } from "@virtio-ts/virtio-bindings";
import {
  HDR_SIZE,
  HDR_SIZE_HASH,
  HDR_SIZE_LEGACY,
  hasFeature,
  receiveOffloads,
  transmitOffloads,
  VIRTIO_NET_F_HASH_REPORT,
  VIRTIO_NET_F_MRG_RXBUF,
} from "../layout/index.ts";

/** The part of the negotiated features that the queues use. */
export interface Framing {
  /**
   * Bytes of the header in front of each packet: 12; 20 with hashes; 10 on a legacy device without mergeable buffers.
   */
  readonly headerSize: number;
  /** The header has a descriptor of its own: a legacy device without VIRTIO_F_ANY_LAYOUT (5.1.6.6). */
  readonly headerApart: boolean;
  /** A received packet may be spread over several buffers. */
  readonly mergeable: boolean;
  /** The header reports a hash. */
  readonly hashes: boolean;
  /** The offloads that the device does when it transmits, as `OFFLOAD_*`. */
  readonly transmitOffloads: number;
  /** The offloads that the driver does in a received packet, as `OFFLOAD_*`. */
  readonly receiveOffloads: number;
}

/** The framing for the negotiated features. */
export function framingOf(features: bigint): Framing {
  const modern = hasFeature(features, VIRTIO_F_VERSION_1);
  const mergeable = hasFeature(features, VIRTIO_NET_F_MRG_RXBUF);
  const hashes = hasFeature(features, VIRTIO_NET_F_HASH_REPORT);
  return {
    headerSize: hashes ? HDR_SIZE_HASH : modern || mergeable ? HDR_SIZE : HDR_SIZE_LEGACY,
    headerApart: !modern && !hasFeature(features, VIRTIO_F_ANY_LAYOUT),
    mergeable,
    hashes,
    transmitOffloads: transmitOffloads(features),
    receiveOffloads: receiveOffloads(features),
  };
}
