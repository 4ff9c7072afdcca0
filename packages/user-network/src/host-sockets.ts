/**
 * The interface between a user-mode network and its host. Node's sockets are one implementation
 * (`@virtio-ts/user-network/node`); a page in a browser supplies its own, over a relay of streams.
 *
 * No method throws, and none calls a handler before it has returned. The promises of {@link HostSockets.listenTcp},
 * {@link HostSockets.listenUdp} and {@link HostSockets.resolve} may be rejected. After `destroy` or `close` no handler
 * is called.
 *
 * Addresses to connect or send to are IPv4. `127.0.0.1` means the host's loopback, on either of its addresses: if
 * `127.0.0.1` refuses, `::1` is tried.
 * @module
 */

import type { CancelSignal } from "./cancel.ts";

/** Why a host socket failed, in terms a guest can be told. */
export type HostFailure =
  /** No process listens there. */
  | "refused"
  /** The other side reset the connection. */
  | "reset"
  /** No route to that network. */
  | "network-unreachable"
  /** No route to that machine. */
  | "host-unreachable"
  /** No answer. */
  | "timed-out"
  /** The host's rules forbid it. */
  | "prohibited"
  /** The datagram is larger than the path takes. */
  | "too-large"
  /** Any other failure, such as lack of file descriptors. */
  | "failed";

/** One TCP connection of the host. */
export interface HostTcp {
  /** Sends bytes. They do not change until {@link HostTcpHandlers.written} has counted them: no copy is needed. */
  write(bytes: Uint8Array): void;
  /** Sends a FIN after the written bytes; no more bytes will be written. Reading continues. */
  end(): void;
  /** Stops reading until {@link resume}. A few more bytes may still arrive. */
  pause(): void;
  /** Continues reading. */
  resume(): void;
  /**
   * The guest probes whether its peer is alive, after it heard nothing for `idleMs`; the network itself answers the
   * guest. From now on, probe the real peer at the same interval, if the host can.
   */
  keepAlive?(idleMs: number): void;
  /**
   * Drops the connection and all unsent bytes.
   * @param reset whether to send the other side an RST, if the host can
   */
  destroy(reset: boolean): void;
}

/** Callbacks of a {@link HostTcp}. */
export interface HostTcpHandlers {
  /** The connection is established (not called for accepted connections). */
  connected(): void;
  /** Bytes have arrived. They are valid until this call returns. */
  data(bytes: Uint8Array): void;
  /** The other side will send no more. */
  ended(): void;
  /** The oldest `count` written bytes have left the process. */
  written(count: number): void;
  /** The connection has ended in both directions; no call follows. Without a failure it was closed normally. */
  closed(failure?: HostFailure): void;
}

/** One UDP socket of the host. */
export interface HostUdp {
  /** Sends a datagram. The bytes belong to the host from now on. */
  send(bytes: Uint8Array, address: string, port: number): void;
  /** Closes the socket. */
  close(): void;
}

/** Callbacks of a {@link HostUdp}. */
export interface HostUdpHandlers {
  /** A datagram has arrived. The bytes are valid until this call returns. */
  message(bytes: Uint8Array, address: string, port: number): void;
  /** A datagram to the destination could not be sent. Without a destination, the socket has failed. */
  failed(failure: HostFailure, address?: string, port?: number): void;
}

/** A listening socket of the host. */
export interface HostListener {
  /** The address it is bound to. */
  readonly address: string;
  /** The port it is bound to. */
  readonly port: number;
  /** Stops listening. Accepted connections stay open. */
  close(): void;
}

/** The host of a network, as far as the network needs it. */
export interface HostSockets {
  /** Opens a connection. */
  connectTcp(address: string, port: number, handlers: HostTcpHandlers): HostTcp;
  /**
   * Listens for connections.
   * @param port 0 for any
   * @param accept takes an incoming connection, which is paused until `resume`; `undefined` refuses it
   * @returns rejected with an error whose `code` is `EADDRINUSE` if the port is taken
   */
  listenTcp(
    address: string,
    port: number,
    accept: (socket: HostTcp, peerAddress: string, peerPort: number) => HostTcpHandlers | undefined,
  ): Promise<HostListener>;
  /** Opens a UDP socket on any port, for a guest to send from. */
  openUdp(handlers: HostUdpHandlers): HostUdp;
  /** Opens a UDP socket on a given port, for others to send to; rejected like {@link listenTcp}. */
  listenUdp(address: string, port: number, handlers: HostUdpHandlers): Promise<HostListener & HostUdp>;
  /**
   * Asks the host's name servers: a function from message to message (RFC 1035, 4), as DNS over HTTPS is (RFC 8484).
   * @param query one question, with its own id, in its own memory
   * @param signal aborted when the answer is no longer needed
   * @returns the whole answer, with the query's id. If rejected, or if the answer does not match the query, the guest
   * gets SERVFAIL
   */
  resolve(query: Uint8Array & { readonly buffer: ArrayBuffer }, signal: CancelSignal): Promise<Uint8Array>;
}
