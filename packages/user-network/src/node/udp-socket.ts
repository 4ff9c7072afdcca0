/**
 * UDP sockets of the host, over `node:dgram`.
 * @module
 */

import { createSocket, type Socket } from "node:dgram";
import { isIPv6 } from "node:net";
import type { HostListener, HostUdp, HostUdpHandlers } from "../host-sockets.ts";
import { failureOf } from "./host-failure.ts";
import { LOOPBACK, LoopbackUdp } from "./loopback-udp.ts";

/** Maximum bytes of datagrams on their way to the system: more are dropped, as by a full network card. */
const MAX_QUEUED_BYTES = 0x40_0000;

class NodeUdp implements HostUdp {
  readonly #socket: Socket;
  readonly #handlers: HostUdpHandlers;
  #queued = 0;
  #closed = false;

  constructor(socket: Socket, handlers: HostUdpHandlers) {
    this.#socket = socket;
    this.#handlers = handlers;
    socket.on("message", (bytes, sender) => {
      if (!this.#closed) handlers.message(bytes, sender.address, sender.port);
    });
    socket.on("error", (error) => {
      if (!this.#closed) handlers.failed(failureOf(error));
    });
  }

  send(bytes: Uint8Array, address: string, port: number): void {
    if (this.#closed || this.#queued + bytes.length > MAX_QUEUED_BYTES) return;
    this.#queued += bytes.length;
    this.#socket.send(bytes, port, address, (error) => {
      this.#queued -= bytes.length;
      if (error && !this.#closed) this.#handlers.failed(failureOf(error), address, port);
    });
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#socket.close();
  }
}

/** A guest's port: one socket for the outside, and others for the loopback, which report more errors. */
class FlowUdp implements HostUdp {
  readonly #handlers: HostUdpHandlers;
  #world: NodeUdp | undefined;
  #loopback: LoopbackUdp | undefined;

  constructor(handlers: HostUdpHandlers) {
    this.#handlers = handlers;
  }

  send(bytes: Uint8Array, address: string, port: number): void {
    if (address === LOOPBACK) {
      this.#loopback ??= new LoopbackUdp(this.#handlers);
      this.#loopback.send(bytes, port);
    } else {
      this.#world ??= new NodeUdp(createSocket("udp4"), this.#handlers);
      this.#world.send(bytes, address, port);
    }
  }

  close(): void {
    this.#world?.close();
    this.#loopback?.close();
  }
}

/** Opens a socket on any port. */
export function openUdp(handlers: HostUdpHandlers): HostUdp {
  return new FlowUdp(handlers);
}

/** Opens a socket on a given port, for others to send to. */
export function listenUdp(address: string, port: number, handlers: HostUdpHandlers): Promise<HostListener & HostUdp> {
  return new Promise((resolve, reject) => {
    const socket = createSocket(isIPv6(address) ? "udp6" : "udp4");
    socket.once("error", reject);
    socket.bind({ address, port, exclusive: true }, () => {
      socket.removeListener("error", reject);
      const udp = new NodeUdp(socket, handlers);
      const bound = socket.address();
      resolve({
        address: bound.address,
        port: bound.port,
        send: (bytes, to, toPort) => udp.send(bytes, to, toPort),
        close: () => udp.close(),
      });
    });
  });
}
