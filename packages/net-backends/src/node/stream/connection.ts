/**
 * One connection that carries frames: a socket, and the frames on their way in and out, which are lost with the socket.
 * @module
 */

import type { Socket } from "node:net";
import type { FrameBurst, NetPort } from "@virtio-ts/net-link";
import { StreamError } from "./error.ts";
import { FrameDecoder } from "./frame-decoder.ts";
import { FrameEncoder } from "./frame-encoder.ts";

/** Idle time before the first TCP keep-alive probe, ms: the other machine may have vanished. */
const KEEP_ALIVE_MS = 30_000;

/** The owner of a connection. */
export interface ConnectionOwner extends Pick<NetPort, "take" | "resume"> {
  /** The connection has ended; without an error if the other end closed it between two frames. */
  ended(error: StreamError | undefined): void;
}

/** A connection, open until its owner's `ended` is called. */
export class StreamConnection {
  readonly #socket: Socket;
  readonly #owner: ConnectionOwner;
  readonly #decoder = new FrameDecoder();
  readonly #encoder: FrameEncoder;
  /** The first frame of the decoder's burst that the owner has not taken. */
  #next = 0;
  #delivering = false;
  #again = false;
  #cause: Error | undefined;

  /** @param name of the other end, for messages */
  constructor(socket: Socket, name: string, owner: ConnectionOwner) {
    this.#socket = socket;
    this.#owner = owner;
    this.#encoder = new FrameEncoder(
      (bytes, done) => socket.write(bytes, (error) => error || done()),
      () => owner.resume(),
    );
    socket.setNoDelay(true);
    socket.setKeepAlive(true, KEEP_ALIVE_MS);
    socket.on("data", (chunk: Uint8Array) => this.#receive(chunk));
    socket.on("error", (cause) => {
      this.#cause = cause;
    });
    socket.once("close", () => owner.ended(this.#reason(name)));
  }

  /** Frames sent so far, waiting ones included. */
  get framesOut(): number {
    return this.#encoder.frames;
  }

  /** Frames dropped so far in either direction because of their length. */
  get droppedLength(): number {
    return this.#decoder.droppedShort + this.#encoder.dropped;
  }

  /** Sends frames, like `NetPort.take`. */
  take(burst: FrameBurst, first: number): number {
    return this.#encoder.add(burst, first);
  }

  /** The owner has room for frames again. */
  resume(): void {
    if (this.#delivering) this.#again = true;
    else if (this.#next < this.#decoder.burst.count) this.#deliver();
  }

  /** Closes the connection; frames on their way are lost. */
  close(): void {
    this.#socket.destroy();
  }

  #receive(chunk: Uint8Array): void {
    this.#decoder.feed(chunk);
    this.#next = 0;
    if (this.#decoder.burst.count > 0) this.#deliver();
    if (this.#decoder.error !== undefined) this.#socket.destroy();
  }

  /** Hands over received frames. While some are left, the socket is paused, so that the other end has to wait. */
  #deliver(): void {
    const { burst } = this.#decoder;
    this.#again = false;
    this.#delivering = true;
    try {
      this.#next = this.#owner.take(burst, this.#next);
    } finally {
      this.#delivering = false;
    }
    if (this.#next < burst.count) {
      this.#socket.pause();
      // The owner already has room again. Resume in a later turn: an owner that resumes and takes nothing would loop
      // forever.
      if (this.#again) setImmediate(() => this.resume());
    } else if (this.#socket.isPaused()) this.#socket.resume();
  }

  #reason(name: string): StreamError | undefined {
    if (this.#decoder.error !== undefined) return this.#decoder.error;
    const cause = this.#cause;
    if (cause !== undefined) {
      return new StreamError("CONNECTION_LOST", `the connection to ${name} broke: ${cause.message}`, { cause });
    }
    return this.#decoder.incomplete
      ? new StreamError("TRUNCATED", `the connection to ${name} ended in the middle of a frame`)
      : undefined;
  }
}
