/**
 * The HTTP server at the host's end of the demo's downloads: gives random bytes away, and knows their hashes.
 *
 * @module
 */
import { createHash, randomFillSync } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { DigestAlgorithm } from "../transfer.ts";

/** Serves `GET /blob`, a fixed run of random bytes, on a free port of the host's loopback. */
export class BlobServer {
  /** Where it listens, on 127.0.0.1. */
  readonly port: number;
  /** Connections made to it so far. */
  connections = 0;
  readonly #blob: Buffer;
  readonly #server: Server;

  private constructor(blob: Buffer, server: Server) {
    this.port = (server.address() as AddressInfo).port;
    this.#blob = blob;
    this.#server = server;
    server.on("connection", () => this.connections++);
  }

  /** @param bytes size of the blob */
  static async start(bytes: number): Promise<BlobServer> {
    const blob = randomFillSync(Buffer.alloc(bytes));
    const server = createServer((request, response) => answer(blob, request, response));
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(0, "127.0.0.1", resolve);
    });
    return new BlobServer(blob, server);
  }

  /** The blob's hash, in hexadecimal. */
  digest(algorithm: DigestAlgorithm): string {
    return createHash(algorithm).update(this.#blob).digest("hex");
  }

  /** Stops listening and cuts every connection. Can be called twice. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    await closed;
  }
}

function answer(blob: Buffer, request: IncomingMessage, response: ServerResponse): void {
  if (request.url === "/blob") {
    response.writeHead(200, { "content-type": "application/octet-stream", "content-length": blob.length });
    response.end(blob);
  } else {
    response.writeHead(404).end();
  }
}
