/**
 * A backend as the seL4 VMM support library has them: a handful of functions that a driver of a real (or other)
 * network card offers, and the calls it makes back. For those who bring such a backend along.
 * @module
 */

/** What became of a frame: `ETHIF_TX_ENQUEUED` 0 (later {@link RawDriver.txComplete}), `COMPLETE` 1, `FAILED` -1. */
export type RawTxResult = "enqueued" | "complete" | "failed";

/** A buffer for a frame on its way to the guest. */
export interface RawBuffer {
  /** Where its bytes go. */
  readonly bytes: Uint8Array;
  /** Names it in {@link RawDriver.rxComplete}. */
  readonly cookie: number;
}

/** What a backend is given: its own data, and the way back into the NIC. None of the calls throws. */
export interface RawDriver {
  /** For the backend's own data; the original's `eth_data`. */
  data: unknown;
  /** A frame that was `enqueued` is sent: its bytes are not needed any more. */
  txComplete(cookie: number): void;
  /** A buffer of `size` bytes for a frame that arrives, or `null`: none is left, the guest is slower than the network. */
  allocateRxBuf(size: number): RawBuffer | null;
  /** A frame arrived in the buffers named, the first `lengths[i]` bytes of each. */
  rxComplete(cookies: readonly number[], lengths: readonly number[]): void;
}

/** The functions of a backend; a caller replaces those of {@link virtioNetDefaultBackend}. */
export interface RawIfaceFuncs {
  /**
   * Sends a frame. Its bytes stay as they are until it is `complete` or `failed`, or, if it is `enqueued`, until
   * {@link RawDriver.txComplete} names the cookie.
   */
  tx(driver: RawDriver, frame: readonly Uint8Array[], cookie: number): RawTxResult;
  /** The NIC's interrupt line went up: the original's way to inject the guest's interrupt. */
  handleIRQ(driver: RawDriver, line: number): void;
  /** Looks whether something arrived. */
  poll(driver: RawDriver): void;
  /** Shows the state of the driver to people. */
  printState(driver: RawDriver): void;
  /** Called once, before the NIC exists: its address (6 bytes) and the largest IP packet. */
  lowLevelInit(driver: RawDriver): RawLowLevel;
  /** The address, where it can be had before `lowLevelInit`; `null` in the default backend, as in the original. */
  getMac: ((driver: RawDriver) => Uint8Array) | null;
}

/** What {@link RawIfaceFuncs.lowLevelInit} finds out. */
export interface RawLowLevel {
  /** The card's address: 6 bytes. */
  readonly mac: Uint8Array;
  /** Largest IP packet, bytes. */
  readonly mtu: number;
}

/** A function of the default backend was called that nobody replaced. */
export class RawBackendError extends Error {
  override readonly name = "RawBackendError";
  /** The kind of mistake; there is one. */
  readonly code = "not-implemented";

  constructor(what: string) {
    super(`the backend does not implement ${what}`);
  }
}

/**
 * A backend whose functions the caller replaces. Each of them throws until then: in
 * {@link makeVirtioNet} that ends as an error of the call, later as a counted failure, never in the guest.
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
