/**
 * Moves data between guest and host over the guest's network, timed inside the guest, with proof that it arrived:
 * a digest that the guest computes over what it got, outside of the timed part.
 *
 * busybox decides what is fast. `nc` as a sender makes about 1 MB/s; `httpd` sends with sendfile. So the guest serves
 * what the host shall get, and the host fetches it through a forwarded port.
 *
 * @module
 */
import type { ExecOptions } from "./channel.ts";
import { GuestError } from "./errors.ts";
import type { Guest } from "./guest.ts";
import { shellQuote } from "./quote.ts";

/** SHA-256 takes the guest about 75 ms per MiB, MD5 about 20 ms. */
export type DigestAlgorithm = "sha256" | "sha1" | "md5";

/** Options of the transfers. */
export interface TransferOptions extends ExecOptions {
  /** Default: `sha256`. */
  readonly digest?: DigestAlgorithm;
}

/** A finished transfer. */
export interface Transfer {
  readonly bytes: number;
  /** Hexadecimal, computed in the guest. */
  readonly digest: string;
  /** From the first byte asked for to the last one stored, by the guest's clock (steps of 10 ms), at least 0.01. */
  readonly seconds: number;
}

/** A file in the guest that its HTTP server offers. */
export interface ServedFile {
  /** TCP port in the guest. */
  readonly port: number;
  /** Path of the URL. */
  readonly path: string;
  readonly bytes: number;
  /** Hexadecimal, computed in the guest. */
  readonly digest: string;
}

/** A download that does not grow for so long, or up to twice as long, is ended. */
const SILENCE_SECONDS = 15;
const DOWNLOAD = "/tmp/download";
const SERVED_DIRECTORY = "/tmp/www";

/** Linux would wait for a quarter of an hour; and Debian's busybox crashes on wget's own option for this, `-T`. */
const KILL_SILENT_WGET = `{
  while before=$now; sleep ${SILENCE_SECONDS}; now=$(stat -c %s ${DOWNLOAD}); [ "$now" != "$before" ]; do :; done
  killall wget
}`;

/**
 * Host to guest: fetches a URL into the guest's memory and digests it there. The file must fit into the guest's
 * `/tmp`, 80 % of its memory.
 *
 * @throws GuestError `COMMAND_FAILED`; as {@link Guest.exec}
 */
export async function download(guest: Guest, url: string, options: TransferOptions = {}): Promise<Transfer> {
  const { digest = "sha256", ...exec } = options;
  const line = await fetchWith(
    guest,
    `the guest could not fetch ${url}`,
    `rm -f ${DOWNLOAD}
${KILL_SILENT_WGET} >/dev/null 2>&1 & watcher=$!
read begin rest </proc/uptime
wget -q -O ${DOWNLOAD} ${shellQuote(url)}; status=$?
kill $watcher
[ $status = 143 ] && echo "nothing came for ${SILENCE_SECONDS} s"
[ $status = 0 ] || { rm -f ${DOWNLOAD}; exit $status; }
read end rest </proc/uptime
echo "$begin $end $(wc -c <${DOWNLOAD}) $(${digest}sum <${DOWNLOAD})"
rm -f ${DOWNLOAD}`,
    exec,
  );
  const [begin, end, bytes, sum] = line.split(" ");
  return { bytes: Number(bytes), digest: sum, seconds: elapsed(begin, end) };
}

/**
 * Guest to host by HTTP POST: the guest sends a file that it makes of random bytes, all but 0, since to busybox what
 * it posts is a string. It holds the file in memory twice: for large ones, and for speed, see {@link serveFile}.
 *
 * @throws GuestError `COMMAND_FAILED`; as {@link Guest.exec}
 */
export async function upload(
  guest: Guest,
  url: string,
  bytes: number,
  options: TransferOptions = {},
): Promise<Transfer> {
  const { digest = "sha256", ...exec } = options;
  const source = "/tmp/upload";
  const line = await fetchWith(
    guest,
    `the guest could not post to ${url}`,
    `${makeFile(source, bytes, "tr '\\0' x")}
read begin rest </proc/uptime
wget -q -O /dev/null --post-file ${source} ${shellQuote(url)} || { status=$?; rm -f ${source}; exit $status; }
read end rest </proc/uptime
echo "$begin $end $(wc -c <${source}) $(${digest}sum <${source})"
rm -f ${source}`,
    exec,
  );
  const [begin, end, sent, sum] = line.split(" ");
  return { bytes: Number(sent), digest: sum, seconds: elapsed(begin, end) };
}

/**
 * Guest to host, the fast way: puts a file of random bytes behind the guest's HTTP server. The host fetches it from
 * `http://<forwarded port>/<path>`.
 *
 * @throws GuestError `COMMAND_FAILED`; as {@link Guest.exec}
 */
export async function serveFile(
  guest: Guest,
  bytes: number,
  options: TransferOptions & { readonly port?: number } = {},
): Promise<ServedFile> {
  const { digest = "sha256", port = 80, ...exec } = options;
  const name = `${bytes}.bin`;
  const file = `${SERVED_DIRECTORY}/${name}`;
  const output = await guest.run(
    `mkdir -p ${SERVED_DIRECTORY}
[ -f ${file} ] || ${makeFile(file, bytes)}
netstat -ltn | grep -q ":${port} " || httpd -p ${port} -h ${SERVED_DIRECTORY}
${digest}sum <${file}`,
    exec,
  );
  return { port, path: `/${name}`, bytes, digest: lastLine(output).split(" ")[0] };
}

/** Removes what {@link serveFile} made, and ends the server. */
export async function stopServing(guest: Guest, options?: ExecOptions): Promise<void> {
  await guest.exec(`killall httpd; rm -rf ${SERVED_DIRECTORY}`, options);
}

/** Runs a command that has to succeed, and returns its last line; when it fails, that is what wget complained of. */
async function fetchWith(guest: Guest, failure: string, command: string, options: ExecOptions): Promise<string> {
  const { status, output } = await guest.exec(command, options);
  const line = lastLine(output);
  if (status === 0) return line;
  throw new GuestError("COMMAND_FAILED", `${failure}: ${line || `exit status ${status}`}`);
}

/**
 * A command that makes a file: one random MiB, repeated, since the guest makes only 3 MB/s of random bytes.
 *
 * @param filter a command that may replace bytes
 */
function makeFile(path: string, bytes: number, filter: string = "cat"): string {
  const block = Math.min(bytes, 1 << 20);
  const whole = block === 0 ? 0 : Math.floor(bytes / block);
  return `{
  head -c ${block} /dev/urandom | ${filter} >${path}.block
  { for i in $(seq ${whole}); do cat ${path}.block; done; head -c ${bytes - whole * block} ${path}.block; } >${path}
  rm ${path}.block
}`;
}

function elapsed(begin: string, end: string): number {
  return Math.max(1, Math.round((Number(end) - Number(begin)) * 100)) / 100;
}

function lastLine(output: string): string {
  return output.trimEnd().split("\n").at(-1) ?? "";
}
