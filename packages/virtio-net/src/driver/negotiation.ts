/**
 * The features that a NIC driver accepts, and the limits that follow from them: VIRTIO 1.4, 5.1.3 and 5.1.5. Part of
 * the NIC driver.
 * @module
 */

import { feature, VIRTIO_ID_NET } from "@virtio-ts/virtio-bindings";
import { DriverDevice, DriverError, type DriverHost, type DriverTransport } from "@virtio-ts/virtio-driver";
import {
  consistentFeatures,
  hasFeature,
  VIRTIO_NET_F_CSUM,
  VIRTIO_NET_F_CTRL_MAC_ADDR,
  VIRTIO_NET_F_CTRL_RX,
  VIRTIO_NET_F_CTRL_VQ,
  VIRTIO_NET_F_GUEST_ANNOUNCE,
  VIRTIO_NET_F_GUEST_CSUM,
  VIRTIO_NET_F_GUEST_ECN,
  VIRTIO_NET_F_GUEST_TSO4,
  VIRTIO_NET_F_GUEST_TSO6,
  VIRTIO_NET_F_HASH_REPORT,
  VIRTIO_NET_F_HOST_ECN,
  VIRTIO_NET_F_HOST_TSO4,
  VIRTIO_NET_F_HOST_TSO6,
  VIRTIO_NET_F_MAC,
  VIRTIO_NET_F_MQ,
  VIRTIO_NET_F_MRG_RXBUF,
  VIRTIO_NET_F_MTU,
  VIRTIO_NET_F_SPEED_DUPLEX,
  VIRTIO_NET_F_STATUS,
} from "../layout/index.ts";
import { type Framing, framingOf } from "./framing.ts";
import { NetConfig } from "./net-config.ts";

/** All features of the network device that the driver supports. */
export const NET_DRIVER_FEATURES: bigint = feature(
  VIRTIO_NET_F_CSUM,
  VIRTIO_NET_F_GUEST_CSUM,
  VIRTIO_NET_F_MTU,
  VIRTIO_NET_F_MAC,
  VIRTIO_NET_F_GUEST_TSO4,
  VIRTIO_NET_F_GUEST_TSO6,
  VIRTIO_NET_F_GUEST_ECN,
  VIRTIO_NET_F_HOST_TSO4,
  VIRTIO_NET_F_HOST_TSO6,
  VIRTIO_NET_F_HOST_ECN,
  VIRTIO_NET_F_MRG_RXBUF,
  VIRTIO_NET_F_STATUS,
  VIRTIO_NET_F_CTRL_VQ,
  VIRTIO_NET_F_CTRL_RX,
  VIRTIO_NET_F_GUEST_ANNOUNCE,
  VIRTIO_NET_F_MQ,
  VIRTIO_NET_F_CTRL_MAC_ADDR,
  VIRTIO_NET_F_HASH_REPORT,
  VIRTIO_NET_F_SPEED_DUPLEX,
);

/** Largest IP packet if the device does not report it, bytes. */
const MTU_DEFAULT = 1500;
/** Unless each entry of the ring has a buffer for 64 KiB, segmented frames need merged buffers (5.1.6.3.1). */
const NEEDS_MERGING = feature(VIRTIO_NET_F_GUEST_TSO4, VIRTIO_NET_F_GUEST_TSO6);

/** Features that are useless without their field of configuration space. */
const FIELDS: readonly (readonly [bit: number, field: keyof NetConfig])[] = [
  [VIRTIO_NET_F_MAC, "mac"],
  [VIRTIO_NET_F_STATUS, "status"],
  [VIRTIO_NET_F_MQ, "queuePairs"],
  [VIRTIO_NET_F_MTU, "mtu"],
  [VIRTIO_NET_F_HASH_REPORT, "hashes"],
];

/** A NIC after feature negotiation. */
export interface OpenNic {
  readonly device: DriverDevice;
  readonly config: NetConfig;
  readonly framing: Framing;
  /** The address that the device gave, or `null`. */
  readonly mac: Uint8Array | null;
  /** Largest IP packet, bytes. */
  readonly maxMtu: number;
  /** Available queue pairs. */
  readonly maxPairs: number;
}

/**
 * Resets a NIC and negotiates features. If that fails, the device is closed again.
 * @param without features to exclude, reserved ones too
 * @throws DriverError `bad-device` for a device of another type; those of `DriverDevice.open` and `negotiate`
 */
export async function openNic(transport: DriverTransport, host: DriverHost, without: bigint): Promise<OpenNic> {
  if (transport.deviceType !== VIRTIO_ID_NET) {
    throw new DriverError("bad-device", `a device of type ${transport.deviceType} is no NIC`);
  }
  const device = await DriverDevice.open(transport, host);
  try {
    const config = new NetConfig(device.config);
    const features = await device.negotiate({ wanted: acceptable(device.offered, without, config), without });
    return {
      device,
      config,
      framing: framingOf(features),
      mac: device.has(VIRTIO_NET_F_MAC) ? config.mac : null,
      maxMtu: (device.has(VIRTIO_NET_F_MTU) ? config.mtu : null) ?? MTU_DEFAULT,
      maxPairs: (device.has(VIRTIO_NET_F_MQ) ? config.queuePairs : null) ?? 1,
    };
  } catch (cause) {
    await device.close().catch(() => {}); // the device has none of the driver's memory yet
    throw cause;
  }
}

/** The offered features that are supported, have their dependencies, and have a valid configuration. */
function acceptable(offered: bigint, without: bigint, config: NetConfig): bigint {
  let set = offered & NET_DRIVER_FEATURES & ~without;
  if (!hasFeature(set, VIRTIO_NET_F_MRG_RXBUF)) set &= ~NEEDS_MERGING;
  // Commands that set addresses must not be sent without CTRL_RX (5.1.6.5.2.2).
  if (!hasFeature(set, VIRTIO_NET_F_CTRL_RX)) set &= ~feature(VIRTIO_NET_F_CTRL_MAC_ADDR);
  for (const [bit, field] of FIELDS) if (hasFeature(set, bit) && config[field] === null) set &= ~feature(bit);
  return consistentFeatures(set);
}

/** The negotiated features and limits of a NIC must not change between two starts. @throws DriverError `refused` */
export function checkUnchanged(before: OpenNic, now: OpenNic): void {
  const [was, is] = [before.device.features, now.device.features];
  if (was !== is || before.maxPairs !== now.maxPairs || before.maxMtu !== now.maxMtu) {
    throw new DriverError(
      "refused",
      `the NIC was another before: features 0x${was.toString(16)}, 0x${is.toString(16)}`,
    );
  }
}
