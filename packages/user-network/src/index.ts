/**
 * The user-mode network. Its host side for Node is `@virtio-ts/user-network/node`.
 * @module
 */

export type { CancelSignal } from "./cancel.ts";
export { type Alarm, type Clock, type Random, systemClock, systemRandom } from "./clock.ts";
export type {
  EgressPolicy,
  EgressProtocol,
  ForwardOptions,
  UserNetworkLimits,
  UserNetworkOptions,
} from "./config.ts";
export type {
  UserNetworkCounters,
  UserNetworkDrops,
  UserNetworkTable,
  UserNetworkTableCounters,
} from "./counters.ts";
export type { BootClient, BootOption, NetworkBoot } from "./dhcp/boot.ts";
export type { TftpFiles } from "./dhcp/tftp.ts";
export { UserNetworkError, type UserNetworkErrorCode } from "./errors.ts";
export type { Forward } from "./forwards.ts";
export type {
  HostFailure,
  HostListener,
  HostSockets,
  HostTcp,
  HostTcpHandlers,
  HostUdp,
  HostUdpHandlers,
} from "./host-sockets.ts";
export type { UserNetworkEvent, UserNetworkTrace } from "./trace.ts";
export { UserNetwork, type UserNetworkSetup } from "./user-network.ts";
