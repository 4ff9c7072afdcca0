/**
 * The thread at the other end of the TCP jobs, as the bench talks to it.
 *
 * @module
 */
import { Worker } from "node:worker_threads";
import type { PeerAnswer, PeerRequest } from "./peer-thread.ts";

/** One request at a time. */
export class Peer {
  readonly #worker = new Worker(new URL("./peer-thread.js", import.meta.url));

  constructor() {
    this.#worker.unref();
  }

  /** @returns the port of a server that gives `bytes` to each who connects */
  serve(bytes: number): Promise<number> {
    return this.#ask({ serve: bytes });
  }

  /** @returns the port of a server that takes bytes from the next who connects */
  sink(): Promise<number> {
    return this.#ask({ sink: true });
  }

  /** @returns how many bytes those were, when it has closed */
  sunk(): Promise<number> {
    return this.#ask({ sunk: true });
  }

  #ask(request: PeerRequest): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#worker.once("message", (answer: PeerAnswer) => {
        if ("value" in answer) resolve(answer.value);
        else reject(new Error(answer.error));
      });
      this.#worker.postMessage(request);
    });
  }
}
