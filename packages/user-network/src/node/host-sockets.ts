/**
 * The host's side of a user-mode network, over Node's sockets: for `new UserNetwork({ host: nodeHostSockets() })`.
 * @module
 */

import type { HostSockets } from "../host-sockets.ts";
import { HostsFile } from "./hosts-file.ts";
import { NameServers, requireServers } from "./name-servers.ts";
import { NodeResolver } from "./resolver.ts";
import { listenTcp, NodeTcpDialer } from "./tcp-socket.ts";
import { listenUdp, openUdp } from "./udp-socket.ts";

/** What a user may say of the host's side. */
export interface NodeHostOptions {
  /**
   * Name servers to ask, like `9.9.9.9`, `10.0.0.1:5353` or `[::1]:53`. Unless given, the hosts file and the servers
   * that the system is configured for, both as they are when a question comes.
   */
  readonly nameServers?: readonly string[];
}

/**
 * This machine, as a user-mode network needs it.
 * @throws UserNetworkError `BAD_ADDRESS` when a name server is none
 */
export function nodeHostSockets(options: NodeHostOptions = {}): HostSockets {
  const dialer = new NodeTcpDialer();
  const given = options.nameServers && requireServers(options.nameServers);
  const resolver =
    given === undefined
      ? new NodeResolver(new NameServers(), new HostsFile())
      : new NodeResolver(new NameServers(() => given));
  return {
    connectTcp: (address, port, handlers) => dialer.connect(address, port, handlers),
    listenTcp,
    openUdp,
    listenUdp,
    resolve: (query, signal) => resolver.resolve(query, signal),
  };
}
