/**
 * The host's end of an upload: fetches what the guest serves, and knows its hash.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { get } from "node:http";

/** What was fetched. */
export interface Fetched {
  readonly bytes: number;
  /** SHA-256, in hexadecimal. */
  readonly sha256: string;
  /** From the request to the last byte; hashing not counted. */
  readonly seconds: number;
}

/** So long without a byte ends a transfer. */
const SILENCE_MS = 30_000;

/**
 * Fetches a URL whole.
 *
 * @throws Error that says what the transfer ended with: refused, cut short, silent
 */
export async function fetchAll(url: string, signal: AbortSignal): Promise<Fetched> {
  const begin = performance.now();
  const chunks = await new Promise<Buffer[]>((resolve, reject) => {
    const fail = (cause: Error): void => reject(new Error(`the upload from the guest failed: ${cause.message}`, { cause }));
    const request = get(url, { signal, agent: false }, (response) => {
      const got: Buffer[] = [];
      if (response.statusCode !== 200) fail(new Error(`HTTP status ${response.statusCode}`));
      response.on("data", (chunk: Buffer) => got.push(chunk));
      response.on("error", fail);
      response.on("end", () => (response.complete ? resolve(got) : fail(new Error("it was cut short"))));
    });
    request.on("error", fail);
    request.setTimeout(SILENCE_MS, () => request.destroy(new Error(`nothing came for ${SILENCE_MS / 1000} s`)));
  });
  const seconds = (performance.now() - begin) / 1000;
  const hash = createHash("sha256");
  let bytes = 0;
  for (const chunk of chunks) {
    hash.update(chunk);
    bytes += chunk.length;
  }
  return { bytes, sha256: hash.digest("hex"), seconds };
}
