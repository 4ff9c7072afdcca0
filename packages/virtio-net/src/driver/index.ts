/**
 * The network driver: the driver half of VIRTIO 1.4, chapter 5.1, with the life cycle of uknetdev.
 * @module
 */

export * from "./counters.ts";
export * from "./info.ts";
export { NET_DRIVER_FEATURES } from "./negotiation.ts";
export * from "./net-driver.ts";
export * from "./netbuf-pool.ts";
export * from "./netdev.ts";
export * from "./netdev-list.ts";
export type { NetDriverOptions } from "./nic-lives.ts";
export * from "./packet-burst.ts";
export type { ReceiveBuffers } from "./receive-ring.ts";
export * from "./status.ts";
