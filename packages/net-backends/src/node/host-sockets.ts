/**
 * The host's side of a user-mode network, over Node's sockets: for `new UserNetwork({ host: nodeHostSockets() })`.
 * @module
 */

import type { HostSockets } from "../user/host-sockets.ts";
import { NodeResolver } from "./resolver.ts";
import { listenTcp, NodeTcpDialer } from "./tcp-socket.ts";
import { listenUdp, openUdp } from "./udp-socket.ts";

/** What a user may say of the host's side. */
export interface NodeHostOptions {
  /** Name servers to ask, like `9.9.9.9` or `10.0.0.1:5353`; what the system's resolver says unless given. */
  readonly nameServers?: readonly string[];
}

/** This machine, as a user-mode network needs it. */
export function nodeHostSockets(options: NodeHostOptions = {}): HostSockets {
  const dialer = new NodeTcpDialer();
  const resolver = new NodeResolver(options.nameServers);
  return {
    connectTcp: (address, port, handlers) => dialer.connect(address, port, handlers),
    listenTcp,
    openUdp,
    listenUdp,
    resolve: (name, type) => resolver.resolve(name, type),
  };
}
