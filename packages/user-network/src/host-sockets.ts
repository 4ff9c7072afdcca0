/**
 * What a user-mode network needs from the machine it runs on. Node's sockets are one implementation
 * (`@virtio-ts/user-network/node`); a page in a browser gives its own, over a relay of streams.
 *
 * No method throws and none calls a handler before it returned, with the exception of {@link HostSockets.listenTcp}
 * and {@link HostSockets.resolve}, whose promises may be rejected. After `destroy` or `close` no handler is called.
 *
 * Addresses to connect or send to are IPv4. Of them `127.0.0.1` is the host's loopback, whichever of its addresses a
 * service listens on: `::1` is tried where `127.0.0.1` refuses.
 * @module
 */

import type { CancelSignal } from "./cancel.ts";

/** Why a host socket failed, as far as a guest can be told. */
export type HostFailure =
  /** Nobody listens there. */
  | "refused"
  /** The other side cut the connection. */
  | "reset"
  /** No way to that network. */
  | "network-unreachable"
  /** No way to that machine. */
  | "host-unreachable"
  /** No answer. */
  | "timed-out"
  /** The host's rules forbid it. */
  | "prohibited"
  /** The datagram is larger than the path takes. */
  | "too-large"
  /** Anything else: out of descriptors, for one. */
  | "failed";

/** One TCP connection of the host. */
export interface HostTcp {
  /**
   * Sends bytes. They stay untouched until {@link HostTcpHandlers.written} has counted them: no copy is needed.
   */
  write(bytes: Uint8Array): void;
  /** No more bytes will be written: sends a FIN behind what was written. Reading goes on. */
  end(): void;
  /** Stops reading, until {@link resume}. A few more bytes may still come. */
  pause(): void;
  /** Reads on. */
  resume(): void;
  /**
   * The guest asks whether its other side is alive, after nothing was heard of it for so long; it gets its answer from
   * the network. Asks the real one from now on in the same way, where the host can.
   */
  keepAlive?(idleMs: number): void;
  /**
   * Drops the connection and whatever was not sent.
   * @param reset tell the other side by an RST, where the host can
   */
  destroy(reset: boolean): void;
}

/** Who owns a {@link HostTcp}. */
export interface HostTcpHandlers {
  /** The connection stands (never called for one that was accepted). */
  connected(): void;
  /** Bytes came. They are good until this returns. */
  data(bytes: Uint8Array): void;
  /** The other side will send no more. */
  ended(): void;
  /** So many bytes, the oldest written ones, left the hands of the process. */
  written(count: number): void;
  /** The connection is over, both ways; nothing is called after it. Without a failure it ended in good order. */
  closed(failure?: HostFailure): void;
}

/** One UDP socket of the host. */
export interface HostUdp {
  /** Sends a datagram. The bytes are the host's from now on. */
  send(bytes: Uint8Array, address: string, port: number): void;
  /** Closes the socket. */
  close(): void;
}

/** Who owns a {@link HostUdp}. */
export interface HostUdpHandlers {
  /** A datagram came. The bytes are good until this returns. */
  message(bytes: Uint8Array, address: string, port: number): void;
  /** A datagram to that destination could not be sent; without one, the socket is of no more use. */
  failed(failure: HostFailure, address?: string, port?: number): void;
}

/** Something of the host that listens. */
export interface HostListener {
  /** The address it is bound to. */
  readonly address: string;
  /** The port it is bound to. */
  readonly port: number;
  /** Stops listening. What was accepted stays. */
  close(): void;
}

/** The machine a network runs on, as far as the network needs it. */
export interface HostSockets {
  /** Opens a connection. */
  connectTcp(address: string, port: number, handlers: HostTcpHandlers): HostTcp;
  /**
   * Listens for connections.
   * @param port 0 for any
   * @param accept takes a connection that came in, which is paused until `resume`; `undefined` sends it away
   * @returns rejected by an error whose `code` is `EADDRINUSE` when the port is taken
   */
  listenTcp(
    address: string,
    port: number,
    accept: (socket: HostTcp, peerAddress: string, peerPort: number) => HostTcpHandlers | undefined,
  ): Promise<HostListener>;
  /** Opens a UDP socket on any port, to speak to others. */
  openUdp(handlers: HostUdpHandlers): HostUdp;
  /** Opens a UDP socket on a port others send to; rejected like {@link listenTcp}. */
  listenUdp(address: string, port: number, handlers: HostUdpHandlers): Promise<HostListener & HostUdp>;
  /**
   * Asks the host's name servers: a function from message to message (RFC 1035, 4), as DNS over HTTPS is (RFC 8484).
   * @param query one question, with an id of its own, in memory of its own
   * @param signal aborted when nobody waits for an answer any more
   * @returns the whole answer, with the query's id. Rejected when none was to be had: the guest is told (SERVFAIL), as
   *   it is of what does not answer the query
   */
  resolve(query: Uint8Array & { readonly buffer: ArrayBuffer }, signal: CancelSignal): Promise<Uint8Array>;
}
