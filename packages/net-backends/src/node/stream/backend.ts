/**
 * A backend that carries frames to another process or machine over a stream socket, in the framing of QEMU's
 * `-netdev stream` and `-netdev socket`: to a guest of QEMU, to passt, to another stream backend. A network at the far
 * end outlives the machine, and the machine outlives the network.
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
   * Called each time a connection is made, is lost or could not be made. The last two come with the error, except when
   * the other end closed the connection between two frames.
   */
  readonly onConnection?: (connected: boolean, error?: StreamError) => void;
  /**
   * Called with each error of `onConnection` or of the attached end; by default errors go where the host shows uncaught
   * ones.
   */
  readonly onError?: OnError;
}

/** Options of {@link connectStream}. */
export interface StreamClientOptions extends StreamOptions {
  /** Delay from the loss of a connection, or a failed attempt, to the next attempt, ms. 1000 by default. */
  readonly reconnectMs?: number;
}

/** Counters of a stream backend. */
export interface StreamCounters {
  /** Connections made. */
  readonly connections: number;
  /** Connections refused, because there was one already or the backend was closed. */
  readonly refused: number;
  /** Frames received. */
  readonly framesIn: number;
  /** Frames sent or waiting to be sent. */
  readonly framesOut: number;
  /** Frames dropped on sending, because there was no connection. */
  readonly droppedDown: number;
  /** Frames dropped on receipt, because no link was attached. */
  readonly droppedDetached: number;
  /** Frames dropped in either direction: shorter than an Ethernet header, or longer than a stream carries. */
  readonly droppedLength: number;
}

const RECONNECT_MS = 1000;

/**
 * Carries frames over a connection to a listener. It connects at once, and again whenever the connection is lost;
 * meanwhile frames are dropped, as on an unplugged cable.
 */
export function connectStream(address: StreamAddress, options: StreamClientOptions = {}): StreamBackend {
  return new StreamBackend(new Dialler(address, options.reconnectMs ?? RECONNECT_MS), options);
}

/**
 * Listens at an address and carries frames over one connection at a time; further connections are refused.
 * @throws StreamError `LISTEN_FAILED`
 */
export async function listenStream(address: StreamAddress, options: StreamOptions = {}): Promise<StreamBackend> {
  return new StreamBackend(await Listener.listen(address), options);
}

/** One end of a stream of frames; {@link connectStream} and {@link listenStream} create it. */
export class StreamBackend implements NetBackend {
  /** None: the framing has no field for offloads. */
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

  /** The address it connects to or listens on; for port 0, with the port that was assigned. */
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

  /** Sends frames until the buffers are full. Frames that wait when the connection breaks are lost. */
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

  /** Detaches from the link but keeps the connection: frames that arrive are dropped. */
  detach(): void {
    this.#peer = undefined;
    this.#connection?.resume();
  }

  /** Closes the connection for good: no socket and no timer is left. */
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
    // Resumes a peer that waits for room: frames it sends now are dropped.
    this.#peer?.resume();
    this.#source.lost();
  }
}
