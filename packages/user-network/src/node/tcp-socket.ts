/**
 * TCP connections of the host, over `node:net`.
 * @module
 */

import { type AddressInfo, connect, createServer, type Server, type Socket, type TcpNetConnectOpts } from "node:net";
import type { HostFailure, HostListener, HostTcp, HostTcpHandlers } from "../host-sockets.ts";
import { failureOf } from "./host-failure.ts";
import { LOOPBACK } from "./loopback-udp.ts";

/**
 * Bytes of the one buffer that all connections read into. Each read is copied out before the next, so this saves the 64
 * KiB buffer that streams allocate per read.
 */
const READ_SIZE = 0x4_0000;

/** A connection of the host. */
class NodeTcp implements HostTcp {
  readonly #socket: Socket;
  readonly #handlers: HostTcpHandlers;
  /** Lengths of the writes on their way, oldest first. */
  readonly #writes: number[] = [];
  #firstWrite = 0;
  #failure: HostFailure | undefined;
  #over = false;

  constructor(socket: Socket, handlers: HostTcpHandlers) {
    this.#socket = socket;
    this.#handlers = handlers;
    socket.setNoDelay(true); // the guest's own TCP decides what to delay
    socket.on("end", () => {
      if (!this.#over) handlers.ended();
    });
    socket.on("error", (error) => {
      this.#failure = failureOf(error);
    });
    socket.on("close", (hadError) => {
      if (this.#over) return;
      this.#over = true;
      handlers.closed(hadError ? (this.#failure ?? "failed") : undefined);
    });
  }

  write(bytes: Uint8Array): void {
    if (this.#over) return;
    this.#writes.push(bytes.length);
    this.#socket.write(bytes, this.#onWritten);
  }

  end(): void {
    if (!this.#over) this.#socket.end();
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  keepAlive(idleMs: number): void {
    this.#socket.setKeepAlive(true, Math.max(1000, idleMs)); // the system counts in seconds
  }

  destroy(reset: boolean): void {
    if (this.#over) return;
    this.#over = true;
    // A connecting socket would be reset only once it is connected, which may take long.
    if (reset && !this.#socket.connecting) this.#socket.resetAndDestroy();
    else this.#socket.destroy();
  }

  /** Node calls back in the order of the writes, so one function serves all of them. */
  readonly #onWritten = (error?: Error | null): void => {
    if (error || this.#over) return;
    const length = this.#writes[this.#firstWrite++];
    if (this.#firstWrite === this.#writes.length) {
      this.#writes.length = 0;
      this.#firstWrite = 0;
    } else if (this.#firstWrite === 1024) {
      this.#writes.splice(0, this.#firstWrite);
      this.#firstWrite = 0;
    }
    this.#handlers.written(length);
  };
}

/**
 * The host's loopback has two addresses, and a service may listen on one of them: they are tried in this order, the
 * second if the first refuses. The attempt has no time-out, because there is no third address to try.
 */
const EITHER_LOOPBACK: Partial<TcpNetConnectOpts> = {
  host: "localhost",
  autoSelectFamily: true,
  autoSelectFamilyAttemptTimeout: 0x7fff_ffff,
  lookup: (_host, _options, callback) =>
    callback(null, [
      { address: LOOPBACK, family: 4 },
      { address: "::1", family: 6 },
    ]),
};

/** Opens connections that all read into one buffer. */
export class NodeTcpDialer {
  readonly #buffer = Buffer.allocUnsafeSlow(READ_SIZE);

  /** Opens a connection. */
  connect(address: string, port: number, handlers: HostTcpHandlers): HostTcp {
    const buffer = this.#buffer;
    const socket = connect({
      host: address,
      port,
      ...(address === LOOPBACK ? EITHER_LOOPBACK : undefined),
      allowHalfOpen: true,
      onread: {
        buffer,
        callback: (length) => {
          handlers.data(buffer.subarray(0, length));
          return true;
        },
      },
    });
    const tcp = new NodeTcp(socket, handlers);
    socket.once("connect", () => handlers.connected());
    return tcp;
  }
}

/** Listens for connections. */
export function listenTcp(
  address: string,
  port: number,
  accept: (socket: HostTcp, peerAddress: string, peerPort: number) => HostTcpHandlers | undefined,
): Promise<HostListener> {
  return new Promise((resolve, reject) => {
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => take(socket, accept));
    server.once("error", reject);
    server.listen({ host: address, port, exclusive: true }, () => {
      server.removeListener("error", reject);
      server.on("error", () => {}); // an accept failed, for example for lack of file descriptors
      resolve(listenerOf(server));
    });
  });
}

function take(
  socket: Socket,
  accept: (socket: HostTcp, peerAddress: string, peerPort: number) => HostTcpHandlers | undefined,
): void {
  // The handlers are known only after `accept`, so this wrapper looks them up.
  let handlers: HostTcpHandlers | undefined;
  const tcp = new NodeTcp(socket, {
    connected: () => {},
    data: (bytes) => handlers?.data(bytes),
    ended: () => handlers?.ended(),
    written: (count) => handlers?.written(count),
    closed: (failure) => handlers?.closed(failure),
  });
  handlers = accept(tcp, socket.remoteAddress ?? "", socket.remotePort ?? 0);
  if (handlers === undefined) {
    tcp.destroy(true);
    return;
  }
  const data = handlers;
  socket.on("data", (bytes: Buffer) => data.data(bytes));
  socket.pause(); // adding a "data" listener starts the flow
}

function listenerOf(server: Server): HostListener {
  const { address, port } = server.address() as AddressInfo;
  return { address, port, close: () => server.close() };
}
