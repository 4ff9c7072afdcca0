/**
 * One question to one name server, over UDP or TCP (RFC 1035, 4.2).
 * @module
 */

import { createSocket } from "node:dgram";
import { connect, isIPv6 } from "node:net";
import { isAnswerTo } from "../dns/reply.ts";

/** The address of a name server. */
export interface NameServer {
  readonly address: string;
  readonly port: number;
}

/** Ends an attempt, with or without an answer. */
type Ended = (answer?: Uint8Array) => void;

/**
 * Asks over UDP, from an unpredictable port: the system chooses a free one at random. The socket is connected, so it
 * receives only the server's own datagrams, and also the refusal of the server's host (RFC 5452, 9).
 * @param timeoutMs how long to wait, ms
 * @returns the answer, possibly truncated; `undefined` if there was none
 */
export function askUdp(
  server: NameServer,
  query: Uint8Array,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<Uint8Array | undefined> {
  return attempt(timeoutMs, signal, (ended) => {
    const socket = createSocket(isIPv6(server.address) ? "udp6" : "udp4");
    let isOpen = true;
    socket.on("error", () => ended());
    // Ignore answers to other questions: the right one may still arrive.
    socket.on("message", (message) => isAnswerTo(query, message) && ended(message));
    socket.connect(server.port, server.address, (error?: Error) => {
      if (error) ended();
      else if (isOpen) socket.send(query);
    });
    return () => {
      isOpen = false;
      socket.close();
    };
  });
}

/** Asks over TCP, for an answer that does not fit into a datagram. See {@link askUdp}. */
export function askTcp(
  server: NameServer,
  query: Uint8Array,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<Uint8Array | undefined> {
  return attempt(timeoutMs, signal, (ended) => {
    const socket = connect({ host: server.address, port: server.port, noDelay: true });
    const chunks: Buffer[] = [];
    let length = 0;
    socket.on("error", () => ended());
    socket.on("close", () => ended());
    socket.on("data", (chunk) => {
      chunks.push(chunk);
      length += chunk.length;
      const message = wholeMessage(chunks, length);
      if (message !== undefined) ended(isAnswerTo(query, message) ? message : undefined);
    });
    socket.write(Buffer.concat([Buffer.of(query.length >> 8, query.length & 255), query]));
    return () => socket.destroy();
  });
}

/** The first message of a stream, once it is complete (RFC 1035, 4.2.2). */
function wholeMessage(chunks: Buffer[], length: number): Buffer | undefined {
  if (length < 2) return undefined;
  if (chunks[0].length < 2) chunks.splice(0, chunks.length, Buffer.concat(chunks));
  const end = 2 + chunks[0].readUInt16BE(0);
  return length < end ? undefined : Buffer.concat(chunks).subarray(2, end);
}

/** Runs an attempt until it ends, times out or is aborted, then releases its resources. */
function attempt(
  timeoutMs: number,
  signal: AbortSignal,
  begin: (ended: Ended) => () => void,
): Promise<Uint8Array | undefined> {
  return new Promise((resolve) => {
    let release: (() => void) | undefined;
    let isOver = false;
    const ended: Ended = (answer) => {
      if (isOver) return;
      isOver = true;
      clearTimeout(timer);
      signal.removeEventListener("abort", abort);
      release?.();
      resolve(answer);
    };
    const abort = (): void => ended();
    const timer = setTimeout(ended, timeoutMs);
    signal.addEventListener("abort", abort);
    if (signal.aborted) abort();
    else release = begin(ended);
  });
}
