/**
 * A guest's UDP port on the host's loopback. Unlike a remote network, a host can tell at once that nobody listens on a
 * port of its own, but only a connected socket is told. So there is one for each port that was spoken to, and all of
 * them share their own port with one that is not connected, which hears the services that answer from another port
 * than they were asked at (TFTP).
 *
 * A service may listen on 127.0.0.1, on ::1 or on both: what the first refuses is sent to the second.
 * @module
 */

import { createSocket, type Socket, type SocketType } from "node:dgram";
import type { HostUdpHandlers } from "../host-sockets.ts";
import { failureOf } from "./host-failure.ts";

/** What a network calls the host's loopback, whichever of its addresses a service listens on. */
export const LOOPBACK = "127.0.0.1";
const LOOPBACK_6 = "::1";
/** Ports of the loopback that are spoken to, at a time. */
const MAX_PEERS = 16;
/** Datagrams that wait for a socket, at a time. */
const MAX_WAITING = 16;

/** A guest's UDP port, on the host's loopback. */
export class LoopbackUdp {
  readonly #handlers: HostUdpHandlers;
  /** By their port, the one used last being the last. */
  readonly #peers = new Map<number, Peer>();
  /** What hears answers from other ports; bound to our own port. */
  #ear: Socket | undefined;
  /** Our own port, once there is one. */
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
   * Finds a port that is nobody's. A socket that shares its port is given one that others share, too; so one that
   * does not share finds it, and leaves it to those that do.
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

/** A port of the loopback that a guest speaks to. */
class Peer {
  readonly #remotePort: number;
  readonly #handlers: HostUdpHandlers;
  /** Sent before the socket is connected. */
  readonly #waiting: Uint8Array[] = [];
  #socket: Socket | undefined;
  #isConnected = false;
  #isIpv6 = false;
  /** What was sent last, until somebody answers: it goes to the other address if this one refuses. */
  #last: Uint8Array | undefined;
  #isHeard = false;
  #ownPort = 0;

  constructor(remotePort: number, handlers: HostUdpHandlers) {
    this.#remotePort = remotePort;
    this.#handlers = handlers;
  }

  /** Opens its socket, our own port being known. */
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
    // ::1 is another protocol's address: our own port may be somebody else's there, and nobody answers from another.
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

  /** The other address is tried once; if it fails too, the guest is told, and its next datagram starts anew. */
  #failed(socket: Socket, error: Error): void {
    if (socket !== this.#socket) return; // of one that was let go of
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
    const failure = this.#isIpv6 ? "refused" : failureOf(error); // one that has no ::1 refuses, too
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
