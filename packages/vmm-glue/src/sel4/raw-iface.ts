/**
 * A backend as in the seL4 VMM support library: the functions that a driver of a real (or other) network card offers,
 * and the calls that it makes back. For users with such a backend.
 * @module
 */

/** The outcome of a frame: `ETHIF_TX_ENQUEUED` 0 (later {@link RawDriver.txComplete}), `COMPLETE` 1, `FAILED` -1. */
export type RawTxResult = "enqueued" | "complete" | "failed";

/** A buffer for a frame on its way to the guest. */
export interface RawBuffer {
  /** The memory for its bytes. */
  readonly bytes: Uint8Array;
  /** Identifies it in {@link RawDriver.rxComplete}. */
  readonly cookie: number;
}

/** The argument of a backend's functions: its own data, and its calls into the NIC. None of the calls throws. */
export interface RawDriver {
  /** For the backend's own data; the original's `eth_data`. */
  data: unknown;
  /** A frame that was `enqueued` is sent: its bytes are no longer needed. */
  txComplete(cookie: number): void;
  /**
   * A buffer of `size` bytes for a frame that arrives, or `null` if none is left: the guest is slower than the network.
   */
  allocateRxBuf(size: number): RawBuffer | null;
  /** A frame arrived in the given buffers, the first `lengths[i]` bytes of each. */
  rxComplete(cookies: readonly number[], lengths: readonly number[]): void;
}

/** The functions of a backend; a caller replaces those of {@link virtioNetDefaultBackend}. */
export interface RawIfaceFuncs {
  /**
   * Sends a frame. Its bytes stay unchanged until it is `complete` or `failed`, or, if it is `enqueued`, until {@link
   * RawDriver.txComplete} gets its cookie.
   */
  tx(driver: RawDriver, frame: readonly Uint8Array[], cookie: number): RawTxResult;
  /** The NIC's interrupt line went up: the original's way to inject the guest's interrupt. */
  handleIRQ(driver: RawDriver, line: number): void;
  /** Polls for arrived frames. */
  poll(driver: RawDriver): void;
  /** Shows the state of the driver to people. */
  printState(driver: RawDriver): void;
  /** Called once, before the NIC exists: its address (6 bytes) and the largest IP packet. */
  lowLevelInit(driver: RawDriver): RawLowLevel;
  /** The address, if it is known before `lowLevelInit`; `null` in the default backend, as in the original. */
  getMac: ((driver: RawDriver) => Uint8Array) | null;
}

/** The result of {@link RawIfaceFuncs.lowLevelInit}. */
export interface RawLowLevel {
  /** The card's address: 6 bytes. */
  readonly mac: Uint8Array;
  /** Largest IP packet, bytes. */
  readonly mtu: number;
}

/** A function of the default backend was called without being replaced. */
export class RawBackendError extends Error {
  override readonly name = "RawBackendError";
  /** The kind of mistake; there is only one. */
  readonly code = "not-implemented";

  constructor(what: string) {
    super(`the backend does not implement ${what}`);
  }
}

/**
 * A backend whose functions the caller replaces. Until then each of them throws: within {@link makeVirtioNet} that is
 * an error of the call, later a counted failure, never an error in the guest.
 */
export function virtioNetDefaultBackend(): RawIfaceFuncs {
  return {
    tx: missing("tx"),
    handleIRQ: missing("handleIRQ"),
    poll: missing("poll"),
    printState: missing("printState"),
    lowLevelInit: missing("lowLevelInit"),
    getMac: null,
  };
}

function missing(what: string): () => never {
  return () => {
    throw new RawBackendError(what);
  };
}
