/**
 * The HTTP server at the host's end of the demo's transfers: gives random bytes away, takes bytes in, and knows
 * the hash of both.
 *
 * @module
 */
import { createHash, randomFillSync } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** Serves `GET /blob`, a fixed run of random bytes, on the host's loopback. */
export class BlobServer {
  /** SHA-256 of the blob, in hexadecimal. */
  readonly sha256: string;
  readonly #blob: Buffer;
  readonly #server: Server;

  /** @param bytes size of the blob */
  constructor(bytes: number) {
    this.#blob = Buffer.alloc(bytes);
    randomFillSync(this.#blob);
    this.sha256 = createHash("sha256").update(this.#blob).digest("hex");
    this.#server = createServer((request, response) => this.#answer(request, response));
  }

  /** Listens on a free port of 127.0.0.1, and returns it. */
  async listen(): Promise<number> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(0, "127.0.0.1", resolve);
    });
    return (this.#server.address() as AddressInfo).port;
  }

  /** Stops listening and cuts every connection. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    await closed;
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    if (request.url === "/blob") {
      response.writeHead(200, { "content-type": "application/octet-stream", "content-length": this.#blob.length });
      response.end(this.#blob);
    } else {
      response.writeHead(404).end();
    }
  }
}
