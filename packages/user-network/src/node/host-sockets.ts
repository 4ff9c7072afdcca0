/**
 * The host side of a user-mode network, over Node's sockets: for `new UserNetwork({ host: nodeHostSockets() })`.
 * @module
 */

import type { HostSockets } from "../host-sockets.ts";
import { HostsFile } from "./hosts-file.ts";
import { NameServers, requireServers } from "./name-servers.ts";
import { NodeResolver } from "./resolver.ts";
import { listenTcp, NodeTcpDialer } from "./tcp-socket.ts";
import { listenUdp, openUdp } from "./udp-socket.ts";

/** Options of {@link nodeHostSockets}. */
export interface NodeHostOptions {
  /**
   * Name servers to ask, like `9.9.9.9`, `10.0.0.1:5353` or `[::1]:53`. By default the hosts file and the system's
   * configured servers are used, both as they are at the time of a question.
   */
  readonly nameServers?: readonly string[];
}

/**
 * The sockets of this machine for a user-mode network.
 * @throws UserNetworkError `BAD_ADDRESS` if a name server's address does not parse
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
