/**
 * A guest's UDP port on the host's loopback. Unlike a remote network, a host can report at once that a local port is
 * closed, but it tells only a connected socket. So there is one connected socket per destination port. All of them
 * share their own port with one unconnected socket, which receives from services that answer from another port (TFTP).
 *
 * A service may listen on 127.0.0.1, on ::1 or on both: a datagram that the first refuses is sent to the second.
 * @module
 */

import { createSocket, type Socket, type SocketType } from "node:dgram";
import type { HostUdpHandlers } from "../host-sockets.ts";
import { failureOf } from "./host-failure.ts";

/** The address that a network uses for the host's loopback, also if a service listens on ::1. */
export const LOOPBACK = "127.0.0.1";
const LOOPBACK_6 = "::1";
/** Maximum destination ports on the loopback. */
const MAX_PEERS = 16;
/** Maximum datagrams that wait for a socket. */
const MAX_WAITING = 16;

/** A guest's UDP port, on the host's loopback. */
export class LoopbackUdp {
  readonly #handlers: HostUdpHandlers;
  /** By destination port, the one used last at the end. */
  readonly #peers = new Map<number, Peer>();
  /** The unconnected socket for answers from other ports; bound to our own port. */
  #ear: Socket | undefined;
  /** Our own port, once known. */
  #port: number | undefined;
  #closed = false;

  constructor(handlers: HostUdpHandlers) {
    this.#handlers = handlers;
    this.#reserve();
  }

  send(bytes: Uint8Array, port: number): void {
    const known = this.#peers.get(port);
    const peer = known ?? new Peer(port, this.#handlers);
    this.#peers.delete(port);
    this.#peers.set(port, peer);
    peer.send(bytes);
    if (known === undefined && this.#port !== undefined) peer.open(this.#port);
    if (this.#peers.size <= MAX_PEERS) return;
    for (const [oldest, { close }] of this.#peers) {
      this.#peers.delete(oldest);
      close();
      return;
    }
  }

  close(): void {
    this.#closed = true;
    this.#ear?.close();
    for (const { close } of this.#peers.values()) close();
    this.#peers.clear();
  }

  /**
   * Finds an unused port. The system may give a socket that shares its port a port that others share; so an exclusive
   * socket finds the port, and is closed to leave it to those that share it.
   */
  #reserve(): void {
    const finder = createSocket("udp4");
    this.#ear = finder;
    finder.once("error", (error) => this.#failed(error));
    finder.bind({ address: LOOPBACK, port: 0, exclusive: true }, () => {
      const { port } = finder.address();
      finder.close();
      const ear = sharing("udp4");
      this.#ear = ear;
      ear.once("error", (error) => this.#failed(error));
      ear.on("message", (bytes, sender) => {
        if (!this.#closed) this.#handlers.message(bytes, LOOPBACK, sender.port);
      });
      ear.bind({ address: LOOPBACK, port, exclusive: true }, () => {
        this.#port = port;
        for (const peer of this.#peers.values()) peer.open(port);
      });
    });
  }

  #failed(error: Error): void {
    if (!this.#closed) this.#handlers.failed(failureOf(error));
  }
}

/** A port of the loopback that a guest sends to. */
class Peer {
  readonly #remotePort: number;
  readonly #handlers: HostUdpHandlers;
  /** Datagrams sent before the socket is connected. */
  readonly #waiting: Uint8Array[] = [];
  #socket: Socket | undefined;
  #isConnected = false;
  #isIpv6 = false;
  /** The last datagram, until there is an answer: it is sent to ::1 if 127.0.0.1 refuses. */
  #last: Uint8Array | undefined;
  #isHeard = false;
  #ownPort = 0;

  constructor(remotePort: number, handlers: HostUdpHandlers) {
    this.#remotePort = remotePort;
    this.#handlers = handlers;
  }

  /** Opens its socket, bound to our own port. */
  open(ownPort: number): void {
    this.#ownPort = ownPort;
    this.#connect();
  }

  send(bytes: Uint8Array): void {
    if (this.#isConnected) {
      this.#sendNow(bytes);
      return;
    }
    if (this.#waiting.length < MAX_WAITING) this.#waiting.push(bytes);
    if (this.#socket === undefined && this.#ownPort !== 0) this.#connect();
  }

  readonly close = (): void => this.#drop();

  #connect(): void {
    // ::1 belongs to another protocol: our port may be taken there. Answers from other ports are not received on it.
    const socket = this.#isIpv6 ? createSocket("udp6") : sharing("udp4");
    const address = this.#isIpv6 ? LOOPBACK_6 : LOOPBACK;
    this.#socket = socket;
    socket.on("error", (error) => this.#failed(socket, error));
    socket.on("message", (bytes) => {
      if (socket !== this.#socket) return;
      this.#isHeard = true;
      this.#last = undefined;
      this.#handlers.message(bytes, LOOPBACK, this.#remotePort);
    });
    socket.bind({ address, port: this.#isIpv6 ? 0 : this.#ownPort, exclusive: true }, () => {
      socket.connect(this.#remotePort, address, (error?: Error) => {
        if (error) {
          this.#failed(socket, error);
          return;
        }
        this.#isConnected = true;
        for (const bytes of this.#waiting.splice(0)) this.#sendNow(bytes);
      });
    });
  }

  #sendNow(bytes: Uint8Array): void {
    const socket = this.#socket;
    if (!this.#isHeard) this.#last = bytes;
    socket?.send(bytes, (error) => {
      if (error) this.#failed(socket, error);
    });
  }

  /** Tries ::1 once; if it fails too, tells the guest, whose next datagram starts with 127.0.0.1 again. */
  #failed(socket: Socket, error: Error): void {
    if (socket !== this.#socket) return; // an error of a dropped socket
    const last = this.#isHeard ? undefined : (this.#last ?? this.#waiting.shift());
    this.#isHeard = false;
    this.#last = undefined;
    this.#drop();
    if (!this.#isIpv6 && last !== undefined) {
      this.#isIpv6 = true;
      this.#waiting.unshift(last);
      this.#connect();
      return;
    }
    const failure = this.#isIpv6 ? "refused" : failureOf(error); // a host without ::1 counts as refusing
    this.#isIpv6 = false;
    this.#waiting.length = 0;
    this.#handlers.failed(failure, LOOPBACK, this.#remotePort);
  }

  #drop(): void {
    this.#isConnected = false;
    this.#socket?.close();
    this.#socket = undefined;
  }
}

/** A socket that shares its port with others. */
function sharing(type: SocketType): Socket {
  return createSocket({ type, reuseAddr: true });
}
