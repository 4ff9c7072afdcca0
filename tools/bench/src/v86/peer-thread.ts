/**
 * The other end of the TCP jobs, in a thread of its own: what a transfer costs the server or client on the host is
 * nobody's merit and nobody's fault, and must not slow the emulator down.
 *
 * @module
 */
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { parentPort } from "node:worker_threads";

/** What the thread is asked for. It answers with a number. */
export type PeerRequest =
  /** Listen on the loopback and give each who connects so many bytes: the port. */
  | { readonly serve: number }
  /** Listen on the loopback and take what who connects has to give: the port. */
  | { readonly sink: true }
  /** Wait until the one at the sink has ended: the bytes it gave. */
  | { readonly sunk: true };

/** What it answers. */
export type PeerAnswer = { readonly value: number } | { readonly error: string };

let server: Server | undefined;
let sunk: Promise<number> = Promise.resolve(0);

function answer(request: PeerRequest): Promise<number> {
  if ("sunk" in request) return sunk;
  if ("serve" in request) {
    const blob = Buffer.alloc(request.serve, 0x5a);
    return listen((socket) => void socket.end(blob));
  }
  let connected: (socket: Socket) => void = () => {};
  sunk = new Promise((resolve) => {
    connected = (socket) => {
      let bytes = 0;
      socket.on("data", (chunk: Buffer) => {
        bytes += chunk.length;
      });
      socket.on("close", () => resolve(bytes));
    };
  });
  return listen(connected);
}

async function listen(connected: (socket: Socket) => void): Promise<number> {
  server?.close();
  const listening = createServer((socket) => {
    socket.on("error", () => {});
    connected(socket);
  });
  server = listening;
  await new Promise<void>((resolve) => listening.listen(0, "127.0.0.1", resolve));
  return (listening.address() as AddressInfo).port;
}

parentPort?.on("message", (request: PeerRequest) => {
  const port = parentPort;
  answer(request).then(
    (value) => port?.postMessage({ value } satisfies PeerAnswer),
    (error: unknown) => port?.postMessage({ error: String(error) } satisfies PeerAnswer),
  );
});
