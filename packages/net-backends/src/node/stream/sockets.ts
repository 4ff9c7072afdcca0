/**
 * Sources of sockets for a stream backend: one dials an address repeatedly, the other listens.
 * @module
 */

import { lstatSync, unlinkSync } from "node:fs";
import { type AddressInfo, connect, createServer, type ListenOptions, type Server, type Socket } from "node:net";
import { StreamError } from "./error.ts";

/**
 * The address that one end listens on: the path of a Unix socket, or a TCP port, on 127.0.0.1 unless a host is given.
 */
export type StreamAddress = { readonly path: string } | { readonly port: number; readonly host?: string };

/** The user of a socket source. */
export interface SocketUser {
  /** A connection was made. */
  connected(socket: Socket): void;
  /** A connection could not be made. */
  failed(error: StreamError): void;
}

/** Supplies connected sockets. */
export interface SocketSource {
  /** The address that is dialled or listened on. */
  readonly address: StreamAddress;
  /** Starts supplying sockets to a user. */
  start(user: SocketUser): void;
  /** The last connection is lost: another may be made. */
  lost(): void;
  /** Stops for good. */
  stop(): void;
}

const HOST = "127.0.0.1";

/** Connects to an address, and again after a delay when that failed or the connection was lost. */
export class Dialler implements SocketSource {
  readonly address: StreamAddress;
  readonly #reconnectMs: number;
  #user: SocketUser | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #socket: Socket | undefined;

  /** @param reconnectMs delay from a loss to the next attempt, ms */
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

/** Accepts connections to an address. */
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
    server.on("error", () => {}); // an accept failed, for example for lack of file descriptors
    if ("path" in address) return new Listener(address, server);
    const bound = server.address() as AddressInfo;
    return new Listener({ host: bound.address, port: bound.port }, server);
  }

  start(user: SocketUser): void {
    this.#server.on("connection", (socket) => user.connected(socket));
  }

  lost(): void {
    // Nothing to do: the next client connects by itself.
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
 * Whether a process, a killed one for example, left its Unix socket behind: connections to it are refused. Connections
 * to other files are refused too, but those must not be deleted.
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

/** An address as text for messages. */
export function nameOf(address: StreamAddress): string {
  return "path" in address ? address.path : `${address.host ?? HOST}:${address.port}`;
}
