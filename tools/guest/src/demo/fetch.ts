/**
 * The host's end of an upload: fetches what the guest serves.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { get } from "node:http";
import type { DigestAlgorithm } from "../transfer.ts";

/** What was fetched. */
export interface Fetched {
  readonly bytes: number;
  /** In hexadecimal. */
  readonly digest: string;
  /** From the request to the last byte; hashing not counted. */
  readonly seconds: number;
}

/** So long without a byte ends a transfer. */
const SILENCE_MS = 30_000;

/**
 * Fetches a URL whole.
 *
 * @throws Error that says what the transfer ended with: refused, cut short, silent, or the reason of `signal`
 */
export async function fetchAll(url: string, algorithm: DigestAlgorithm, signal: AbortSignal): Promise<Fetched> {
  const begin = performance.now();
  const chunks = await chunksOf(url, signal);
  const seconds = (performance.now() - begin) / 1000;
  const hash = createHash(algorithm);
  let bytes = 0;
  for (const chunk of chunks) {
    hash.update(chunk);
    bytes += chunk.length;
  }
  return { bytes, digest: hash.digest("hex"), seconds };
}

function chunksOf(url: string, signal: AbortSignal): Promise<Buffer[]> {
  return new Promise((resolve, reject) => {
    const fail = (why: string, cause?: Error): void =>
      reject(
        signal.aborted ? signal.reason : new Error(`the host could not fetch ${url} of the guest: ${why}`, { cause }),
      );
    const request = get(url, { signal, agent: false }, (response) => {
      const got: Buffer[] = [];
      if (response.statusCode !== 200) fail(`HTTP status ${response.statusCode}`);
      response.on("data", (chunk: Buffer) => got.push(chunk));
      response.on("error", (error) => fail("the connection was cut", error));
      response.on("end", () => resolve(got));
    });
    request.on("error", (error) => fail(error.message, error));
    request.setTimeout(SILENCE_MS, () => request.destroy(new Error(`nothing came for ${SILENCE_MS / 1000} s`)));
  });
}
