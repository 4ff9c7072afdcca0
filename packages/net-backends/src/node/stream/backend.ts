/**
 * A backend whose frames go to another process or machine over a stream socket, in the framing of QEMU's
 * `-netdev stream` and `-netdev socket`: to a guest of QEMU, to passt, to another of these. A network at the far end
 * outlives the machine, and the machine the network.
 * @module
 */

import type { Socket } from "node:net";
import {
  attempt,
  type FrameBurst,
  Handover,
  type NetBackend,
  type NetPort,
  type OnError,
  reportToHost,
} from "@virtio-ts/net-link";
import { type ConnectionOwner, StreamConnection } from "./connection.ts";
import type { StreamError } from "./error.ts";
import { Dialler, Listener, nameOf, type SocketSource, type SocketUser, type StreamAddress } from "./sockets.ts";

/** Options of {@link listenStream}. */
export interface StreamOptions {
  /**
   * Told each time a connection is there, and each time one is gone or could not be made: then with the reason, but for
   * a connection that the other end closed between two frames.
   */
  readonly onConnection?: (connected: boolean, error?: StreamError) => void;
  /** Told of what `onConnection` throws, or what it is attached to; the host by default, as an uncaught error. */
  readonly onError?: OnError;
}

/** Options of {@link connectStream}. */
export interface StreamClientOptions extends StreamOptions {
  /** From the loss of a connection, or an attempt that failed, to the next attempt, ms. 1000 by default. */
  readonly reconnectMs?: number;
}

/** What a stream backend has counted. */
export interface StreamCounters {
  /** Connections made. */
  readonly connections: number;
  /** Connections turned away, since there was one already. */
  readonly refused: number;
  /** Frames received. */
  readonly framesIn: number;
  /** Frames sent, or waiting to be. */
  readonly framesOut: number;
  /** Frames to be sent while there was no connection. */
  readonly droppedDown: number;
  /** Frames received while no link had this backend at its end. */
  readonly droppedDetached: number;
  /** Frames, either way, without room for an Ethernet header, or longer than a stream carries. */
  readonly droppedLength: number;
}

const RECONNECT_MS = 1000;

/**
 * Frames over a connection to whoever listens at an address. The connection is made at once, and again whenever it was
 * lost; meanwhile frames are dropped, as on a cable that is not plugged in.
 */
export function connectStream(address: StreamAddress, options: StreamClientOptions = {}): StreamBackend {
  return new StreamBackend(new Dialler(address, options.reconnectMs ?? RECONNECT_MS), options);
}

/**
 * Frames over the connection of whoever connects to an address: one at a time, others are turned away.
 * @throws StreamError `LISTEN_FAILED`
 */
export async function listenStream(address: StreamAddress, options: StreamOptions = {}): Promise<StreamBackend> {
  return new StreamBackend(await Listener.listen(address), options);
}

/** One end of a stream of frames: {@link connectStream} and {@link listenStream} make it. */
export class StreamBackend implements NetBackend {
  /** None: the framing has no place for what is left undone. */
  readonly accepts: number = 0;
  readonly #source: SocketSource;
  readonly #options: StreamOptions;
  readonly #onError: OnError;
  readonly #user: SocketUser & ConnectionOwner = {
    connected: (socket) => this.#connected(socket),
    failed: (error) => this.#tell(false, error),
    take: (burst, first) => this.#deliver(burst, first),
    resume: () => this.#peer?.resume(),
    ended: (error) => this.#ended(error),
  };
  #connection: StreamConnection | undefined;
  #peer: Handover | undefined;
  #closed = false;
  #connections = 0;
  #refused = 0;
  #framesIn = 0;
  #framesOut = 0;
  #droppedDown = 0;
  #droppedDetached = 0;
  #droppedLength = 0;

  /** Use {@link connectStream} or {@link listenStream}. */
  constructor(source: SocketSource, options: StreamOptions) {
    this.#source = source;
    this.#options = options;
    this.#onError = options.onError ?? reportToHost;
    source.start(this.#user);
  }

  /** Where it connects to or listens; with the port it got, where it asked for port 0. */
  get address(): StreamAddress {
    return this.#source.address;
  }

  /** Whether there is a connection. */
  get connected(): boolean {
    return this.#connection !== undefined;
  }

  /** The counters as they are now. */
  get counters(): StreamCounters {
    const now = this.#connection;
    return {
      connections: this.#connections,
      refused: this.#refused,
      framesIn: this.#framesIn,
      framesOut: this.#framesOut + (now?.framesOut ?? 0),
      droppedDown: this.#droppedDown,
      droppedDetached: this.#droppedDetached,
      droppedLength: this.#droppedLength + (now?.droppedLength ?? 0),
    };
  }

  /** Sends frames, as far as the socket keeps up. Those that wait when the connection breaks are lost with it. */
  take(burst: FrameBurst, first: number): number {
    if (this.#connection !== undefined) return this.#connection.take(burst, first);
    this.#droppedDown += burst.count - first;
    return burst.count;
  }

  /** @inheritDoc */
  resume(): void {
    this.#connection?.resume();
  }

  /** @inheritDoc */
  attach(peer: NetPort): void {
    this.#peer = new Handover(peer, this.#onError);
  }

  /** Lets go of its end of the link, not of the connection: what still comes is dropped. */
  detach(): void {
    this.#peer = undefined;
    this.#connection?.resume();
  }

  /** Cuts the connection and makes no other: no socket and no timer is left. */
  close(): void {
    this.#closed = true;
    this.#source.stop();
    this.#connection?.close();
  }

  #connected(socket: Socket): void {
    if (this.#connection !== undefined || this.#closed) {
      this.#refused++;
      socket.destroy();
      return;
    }
    this.#connections++;
    this.#connection = new StreamConnection(socket, nameOf(this.address), this.#user);
    this.#tell(true);
  }

  #deliver(burst: FrameBurst, first: number): number {
    const { count } = burst;
    const peer = this.#peer;
    if (peer === undefined) {
      this.#framesIn += count - first;
      this.#droppedDetached += count - first;
      return count;
    }
    const next = peer.take(burst, first);
    this.#framesIn += next - first;
    return next;
  }

  #tell(connected: boolean, error?: StreamError): void {
    attempt(() => this.#options.onConnection?.(connected, error), this.#onError);
  }

  #ended(error: StreamError | undefined): void {
    this.#framesOut += this.#connection?.framesOut ?? 0;
    this.#droppedLength += this.#connection?.droppedLength ?? 0;
    this.#connection = undefined;
    this.#tell(false, error);
    // What was left for want of room is due to be dropped now.
    this.#peer?.resume();
    this.#source.lost();
  }
}
