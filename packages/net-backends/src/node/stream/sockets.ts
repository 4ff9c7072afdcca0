/**
 * Where the sockets of a stream backend come from: one is dialled, again and again, or whoever connects is let in.
 * @module
 */

import { lstatSync, unlinkSync } from "node:fs";
import { type AddressInfo, connect, createServer, type ListenOptions, type Server, type Socket } from "node:net";
import { StreamError } from "./error.ts";

/** Where one end listens: the path of a Unix socket, or a TCP port, on 127.0.0.1 unless a host is named. */
export type StreamAddress = { readonly path: string } | { readonly port: number; readonly host?: string };

/** Whom sockets are for. */
export interface SocketUser {
  /** A connection was made. */
  connected(socket: Socket): void;
  /** One could not be made. */
  failed(error: StreamError): void;
}

/** Supplies connected sockets. */
export interface SocketSource {
  /** The address that is dialled or listened on. */
  readonly address: StreamAddress;
  /** Begins. */
  start(user: SocketUser): void;
  /** The last connection is gone: there may be another. */
  lost(): void;
  /** Ends, for good. */
  stop(): void;
}

const HOST = "127.0.0.1";

/** Connects to an address, and does so again, some time after that failed or the connection was lost. */
export class Dialler implements SocketSource {
  readonly address: StreamAddress;
  readonly #reconnectMs: number;
  #user: SocketUser | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #socket: Socket | undefined;

  /** @param reconnectMs from a loss to the next attempt, ms */
  constructor(address: StreamAddress, reconnectMs: number) {
    this.address = address;
    this.#reconnectMs = reconnectMs;
  }

  start(user: SocketUser): void {
    this.#user = user;
    this.#dial(user);
  }

  lost(): void {
    const user = this.#user;
    if (user !== undefined) this.#timer = setTimeout(() => this.#dial(user), this.#reconnectMs);
  }

  stop(): void {
    this.#user = undefined;
    clearTimeout(this.#timer);
    this.#socket?.destroy();
  }

  #dial(user: SocketUser): void {
    const { address } = this;
    const socket = "path" in address ? connect(address.path) : connect(address.port, address.host ?? HOST);
    const failed = (cause: Error): void => {
      user.failed(
        new StreamError("CONNECT_FAILED", `no connection to ${nameOf(address)}: ${cause.message}`, { cause }),
      );
      this.lost();
    };
    this.#socket = socket;
    socket.once("error", failed);
    socket.once("connect", () => {
      socket.off("error", failed);
      user.connected(socket);
    });
  }
}

/** Lets in whoever connects to an address. */
export class Listener implements SocketSource {
  readonly address: StreamAddress;
  readonly #server: Server;

  private constructor(address: StreamAddress, server: Server) {
    this.address = address;
    this.#server = server;
  }

  /** @throws StreamError `LISTEN_FAILED` */
  static async listen(address: StreamAddress): Promise<Listener> {
    const where = "path" in address ? address : { host: address.host ?? HOST, port: address.port };
    let server: Server;
    try {
      server = await listening(where).catch(async (cause: NodeJS.ErrnoException) => {
        if (cause.code !== "EADDRINUSE" || !("path" in address) || !(await isLeftOver(address.path))) throw cause;
        unlinkSync(address.path);
        return listening(where);
      });
    } catch (cause) {
      const { message } = cause as Error;
      throw new StreamError("LISTEN_FAILED", `can't listen on ${nameOf(address)}: ${message}`, { cause });
    }
    server.on("error", () => {}); // of a connection that could not be accepted: out of descriptors
    if ("path" in address) return new Listener(address, server);
    const bound = server.address() as AddressInfo;
    return new Listener({ host: bound.address, port: bound.port }, server);
  }

  start(user: SocketUser): void {
    this.#server.on("connection", (socket) => user.connected(socket));
  }

  lost(): void {
    // Whoever was there, or another, connects when it wants to.
  }

  stop(): void {
    this.#server.close();
  }
}

function listening(where: ListenOptions): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(where, () => {
      server.off("error", reject);
      resolve(server);
    });
  });
}

/**
 * Whether a Unix socket was left by a process that did not close it, as one that was killed: nobody takes a connection.
 * Other files are refused likewise, and are nobody's to delete.
 */
async function isLeftOver(path: string): Promise<boolean> {
  if (lstatSync(path, { throwIfNoEntry: false })?.isSocket() !== true) return false;
  return new Promise((resolve) => {
    const probe = connect(path);
    probe.once("error", (cause: NodeJS.ErrnoException) => resolve(cause.code === "ECONNREFUSED"));
    probe.once("connect", () => {
      probe.destroy();
      resolve(false);
    });
  });
}

/** An address in a message. */
export function nameOf(address: StreamAddress): string {
  return "path" in address ? address.path : `${address.host ?? HOST}:${address.port}`;
}
