/**
 * The demo's two transfers, whose bytes are compared by hash: HTTP over TCP from the host to the guest and back.
 *
 * @module
 */
import { type DigestAlgorithm, download, serveFile, stopServing } from "../transfer.ts";
import { fetchAll } from "./fetch.ts";
import { HOST_NAME, type Session } from "./session.ts";

/** One transfer over TCP. */
export interface TransferReport {
  readonly bytes: number;
  /** Whether all arrived as it was sent. */
  readonly equal: boolean;
  readonly mbPerSecond: number;
}

/** So long may a transfer go on, and a hash take, on a busy machine. */
const TIMEOUT_MS = 600_000;

/**
 * Host to guest: the guest fetches the server's blob.
 *
 * @throws GuestError that says what the transfer ended with
 */
export async function hostToGuest(session: Session, digest: DigestAlgorithm = "sha256"): Promise<TransferReport> {
  const { guest, server } = session;
  const url = `http://${HOST_NAME}:${server.port}/blob`;
  const got = await download(guest, url, { digest, timeoutMs: TIMEOUT_MS });
  return { bytes: got.bytes, equal: got.digest === server.digest(digest), mbPerSecond: rate(got) };
}

/**
 * Guest to host: the host fetches a file of the guest through a forwarded port.
 *
 * @throws Error that says what the transfer ended with; GuestError when the guest is gone
 */
export async function guestToHost(
  session: Session,
  bytes: number,
  digest: DigestAlgorithm = "sha256",
): Promise<TransferReport> {
  const { guest, lease, network } = session;
  const file = await serveFile(guest, bytes, { digest, timeoutMs: TIMEOUT_MS });
  const forward = await network.forward({
    protocol: "tcp",
    hostPort: 0,
    guestAddress: lease.address,
    guestPort: file.port,
  });
  const gone = new AbortController();
  void guest.gone.then((error) => gone.abort(error));
  try {
    const url = `http://127.0.0.1:${forward.hostPort}${file.path}`;
    const got = await fetchAll(url, digest, gone.signal);
    await stopServing(guest);
    return { bytes: got.bytes, equal: got.digest === file.digest, mbPerSecond: rate(got) };
  } finally {
    forward.close();
  }
}

/** MB/s, to one place. */
function rate({ bytes, seconds }: { readonly bytes: number; readonly seconds: number }): number {
  return Math.round(bytes / seconds / 1e5) / 10;
}
