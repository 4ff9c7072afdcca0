/**
 * The read-only TFTP server at the gateway's address (RFC 1350, RFC 2347 to 2349, RFC 7440), from which network boot
 * fetches its first file. Each transfer uses a separate port of the server, and ends with the acknowledgement of its
 * last block, with an error, or after too many retransmissions.
 * @module
 */

import { BoundedTable } from "../bounded-table.ts";
import { formatIpv4 } from "../ip/addresses.ts";
import type { Stack } from "../stack.ts";
import { Timer } from "../timers.ts";
import { IP_HEADER, UDP_HEADER } from "../wire.ts";
import {
  errorMessage,
  optionsMessage,
  readAcknowledgement,
  readRequest,
  TFTP_NOT_FOUND,
  type TftpRequest,
  writeDataHead,
} from "./tftp-message.ts";

/** The files to serve: by path, or a function of the path. `undefined` means that there is no such file. */
export type TftpFiles =
  | Readonly<Record<string, Uint8Array>>
  | ((path: string) => Uint8Array | undefined | Promise<Uint8Array | undefined>);

const HEAD = 4;
const TRANSFERS = 64;
/** Time without an acknowledgement before the first retransmission, ms; it doubles each time. */
const TIMEOUT_MS = 1000;
/** Time-outs after which a transfer ends. */
const TRIES = 6;
const FIRST_PORT = 49_152;
const PORTS = 16_384;

/** One file on its way to a guest. */
class Transfer {
  readonly guest: number;
  readonly guestPort: number;
  readonly port: number;
  readonly request: TftpRequest;
  readonly bytes: Uint8Array;
  readonly timer: Timer;
  /** Blocks acknowledged, counted beyond 65,535; 0 before the first. */
  acknowledged = 0;
  /** Blocks sent, counted likewise. */
  sent = 0;
  /** Whether the options still wait for their acknowledgement, as block 0. */
  opening: boolean;
  tries = 0;

  constructor(
    guest: number,
    guestPort: number,
    port: number,
    request: TftpRequest,
    bytes: Uint8Array,
    late: () => void,
  ) {
    this.guest = guest;
    this.guestPort = guestPort;
    this.port = port;
    this.request = request;
    this.bytes = bytes;
    this.opening = request.options.size > 0;
    this.timer = new Timer(late);
  }

  /** Total number of blocks: the last one is shorter than the others, and may be empty. */
  get blocks(): number {
    return Math.floor(this.bytes.length / this.request.blockSize) + 1;
  }
}

/** Serves files to guests. */
export class Tftp {
  readonly #stack: Stack;
  readonly #files: TftpFiles | undefined;
  readonly #transfers: BoundedTable<number, Transfer>;
  /** Requests whose file is being fetched, so that a repeated request is not served twice. */
  readonly #fetching = new Set<string>();
  #life = {};

  constructor(stack: Stack, files: TftpFiles | undefined) {
    this.#stack = stack;
    this.#files = files;
    this.#transfers = new BoundedTable<number, Transfer>(stack, {
      name: "tftp",
      limit: TRANSFERS,
      ended: (transfer) => stack.timers.remove(transfer.timer),
      describe: ({ guest, guestPort, request }) => `${formatIpv4(guest)}:${guestPort} ${request.path}`,
    });
  }

  /** Whether any files are served. */
  get isServing(): boolean {
    return this.#files !== undefined;
  }

  /** Takes a datagram to port 69. */
  ask(guest: number, guestPort: number, datagram: Uint8Array): void {
    const asked = readRequest(datagram, this.#stack.config.mtu - IP_HEADER - UDP_HEADER - HEAD);
    if (asked === undefined) {
      this.#stack.counters.dropped.malformed++;
    } else if ("code" in asked) {
      this.#send(guest, guestPort, this.#freePort(), errorMessage(asked.code, asked.message));
    } else {
      this.#open(guest, guestPort, asked);
    }
  }

  /** Takes a datagram to a transfer's port. Returns whether there is one. */
  receive(guest: number, guestPort: number, port: number, datagram: Uint8Array): boolean {
    const transfer = this.#transfers.get(port);
    if (transfer === undefined || transfer.guest !== guest || transfer.guestPort !== guestPort) return false;
    const block = readAcknowledgement(datagram);
    if (block === -1) this.#end(transfer);
    else if (block !== undefined) this.#acknowledged(transfer, block);
    return true;
  }

  /** Ends all transfers. */
  clear(): void {
    this.#life = {};
    this.#fetching.clear();
    this.#transfers.clear();
  }

  #open(guest: number, guestPort: number, request: TftpRequest): void {
    const key = `${guest}:${guestPort}`;
    if (this.#fetching.has(key)) return;
    for (const other of this.#transfers.values()) {
      // The guest repeats its request: our first answer was lost.
      if (other.guest === guest && other.guestPort === guestPort) this.#end(other);
    }
    const found = this.#find(request.path);
    if (!(found instanceof Promise)) {
      this.#start(guest, guestPort, request, found);
      return;
    }
    this.#fetching.add(key);
    const life = this.#life;
    const arrived = (bytes: Uint8Array | undefined): void => {
      if (life !== this.#life) return; // requested over a link that is gone
      this.#fetching.delete(key);
      this.#stack.event(() => {
        this.#start(guest, guestPort, request, bytes);
      });
    };
    found.then(
      (bytes) => arrived(this.#checked(bytes)),
      (cause) => {
        this.#stack.report("CALLBACK_FAILED", "tftp was rejected", cause);
        arrived(undefined);
      },
    );
  }

  #find(path: string): Uint8Array | undefined | Promise<Uint8Array | undefined> {
    const files = this.#files;
    if (typeof files !== "function") {
      const name = path.replace(/^\/+/, "");
      return files !== undefined && Object.hasOwn(files, name) ? files[name] : undefined;
    }
    try {
      const found: unknown = files(path);
      return found instanceof Promise ? found : this.#checked(found);
    } catch (cause) {
      this.#stack.report("CALLBACK_FAILED", "tftp threw", cause);
      return undefined;
    }
  }

  #checked(found: unknown): Uint8Array | undefined {
    if (found === undefined || found instanceof Uint8Array) return found;
    this.#stack.report("CALLBACK_FAILED", `tftp gave a value of type ${typeof found}: expected bytes`, found);
    return undefined;
  }

  #start(guest: number, guestPort: number, request: TftpRequest, bytes: Uint8Array | undefined): void {
    const port = this.#freePort();
    if (bytes === undefined) {
      this.#send(guest, guestPort, port, errorMessage(TFTP_NOT_FOUND, "there is no such file"));
      return;
    }
    const options = new Map(request.options);
    if (options.has("tsize")) options.set("tsize", bytes.length);
    const transfer: Transfer = new Transfer(guest, guestPort, port, { ...request, options }, bytes, () =>
      this.#late(transfer),
    );
    this.#transfers.set(port, transfer);
    this.#sendWindow(transfer);
  }

  /** Sends the blocks after the acknowledged one, up to the guest's window. */
  #sendWindow(transfer: Transfer): void {
    const { request, guest, guestPort, port, bytes } = transfer;
    if (transfer.opening) {
      this.#send(guest, guestPort, port, optionsMessage(request.options));
    } else {
      const last = Math.min(transfer.acknowledged + request.window, transfer.blocks);
      for (let block = transfer.acknowledged + 1; block <= last; block++) {
        const from = (block - 1) * request.blockSize;
        const data = bytes.subarray(from, from + request.blockSize);
        const { payload } = this.#stack;
        writeDataHead(payload, UDP_HEADER, block);
        payload.set(data, UDP_HEADER + HEAD);
        this.#sendPayload(guest, guestPort, port, HEAD + data.length);
      }
      transfer.sent = last;
    }
    const wait = (request.timeoutMs ?? TIMEOUT_MS) * 2 ** transfer.tries;
    this.#stack.timers.set(transfer.timer, this.#stack.now + wait);
  }

  /** Handles an acknowledgement. Old ones are ignored, or each later block would be sent twice (RFC 1123, 4.2.3.1). */
  #acknowledged(transfer: Transfer, block: number): void {
    if (transfer.opening) {
      if (block !== 0) return;
      transfer.opening = false;
    } else {
      const ahead = (block - transfer.acknowledged) & 0xffff;
      if (ahead === 0 || ahead > transfer.sent - transfer.acknowledged) return;
      transfer.acknowledged += ahead;
    }
    transfer.tries = 0;
    if (transfer.acknowledged >= transfer.blocks) {
      this.#end(transfer);
      return;
    }
    this.#transfers.use(transfer.port);
    this.#sendWindow(transfer);
  }

  #late(transfer: Transfer): void {
    if (++transfer.tries === TRIES) this.#end(transfer);
    else this.#sendWindow(transfer);
  }

  #end(transfer: Transfer): void {
    this.#transfers.delete(transfer.port);
    this.#stack.timers.remove(transfer.timer);
  }

  #freePort(): number {
    let port = FIRST_PORT + (this.#stack.random() & (PORTS - 1));
    while (this.#transfers.get(port) !== undefined) port = FIRST_PORT + ((port + 1) & (PORTS - 1));
    return port;
  }

  #send(guest: number, guestPort: number, port: number, message: Uint8Array): void {
    this.#stack.payload.set(message, UDP_HEADER);
    this.#sendPayload(guest, guestPort, port, message.length);
  }

  #sendPayload(guest: number, guestPort: number, port: number, length: number): void {
    const { neighbours, config, counters } = this.#stack;
    const mac = neighbours.find(guest);
    if (mac === undefined)
      counters.dropped.toGuest++; // retransmitted on time-out
    else this.#stack.sendUdp(mac, config.gateway, port, guest, guestPort, length);
  }
}
