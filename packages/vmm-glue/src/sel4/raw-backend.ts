/**
 * Makes a {@link NetBackend} of the functions of a seL4 VMM backend: frames leave through `tx`, and arrive through
 * `allocateRxBuf` and `rxComplete`. Two backends share nothing. For users with such a backend; the NIC is VIRTIO 1.4,
 * 5.1.
 * @module
 */

import { type FrameBurst, FrameQueue, type NetBackend, type NetPort } from "@virtio-ts/net-link";
import { report } from "@virtio-ts/vm-device";
import type { RawDriver, RawIfaceFuncs, RawTxResult } from "./raw-iface.ts";
import { RawReceive } from "./raw-receive.ts";

/** Bounds of a {@link RawBackend}. */
export interface RawBackendOptions {
  /** Most frames that are `enqueued`; beyond that the NIC waits. 256 by default. */
  readonly txFrames?: number;
  /** Most buffers at the backend, and most frames waiting for the guest; 256 by default. */
  readonly rxBuffers?: number;
  /** Called with what a function of the backend threw. */
  readonly onError?: ((cause: unknown) => void) | undefined;
}

/** Counters of a {@link RawBackend}. */
export interface RawBackendCounters {
  /** Frames sent: `complete`, or `enqueued` and then completed. */
  txComplete: number;
  /** Frames that the backend `failed` to send. They are lost; their buffers are not. */
  txFailed: number;
  /** Completions of frames that were not in flight. */
  strayCompletions: number;
  /** Frames received. */
  rxFrames: number;
  /** Frames with an unknown cookie, or longer than their buffers; or without a NIC to receive them. */
  rxRefused: number;
  /** Calls that threw. */
  errors: number;
}

const FREE = 0;
/** In the backend's `tx`. */
const SENDING = 1;
/** In flight: `enqueued`. */
const OUT = 2;
/** Completed before `tx` returned. */
const EARLY = 3;

/** The functions of a backend, as one end of a link. */
export class RawBackend implements NetBackend {
  readonly mac: Uint8Array;
  readonly mtu: number;
  /** The backend does no offloads: the link does them. */
  readonly accepts = 0;
  /** Counters, live. */
  readonly counters: RawBackendCounters = {
    txComplete: 0,
    txFailed: 0,
    strayCompletions: 0,
    rxFrames: 0,
    rxRefused: 0,
    errors: 0,
  };
  /** The argument of the functions. */
  readonly driver: RawDriver;
  readonly #funcs: RawIfaceFuncs;
  readonly #onError: ((cause: unknown) => void) | null;
  readonly #receive: RawReceive;
  readonly #states: Uint8Array;
  readonly #buffers: Uint8Array[] = [];
  readonly #free: number[] = [];
  /** The NIC has frames that found no room. */
  #refused = false;
  #peer: NetPort | null = null;

  /** Runs the backend's `lowLevelInit`. @throws what that throws, RangeError for an invalid address or MTU */
  constructor(funcs: RawIfaceFuncs, options: RawBackendOptions = {}) {
    const frames = options.txFrames ?? 256;
    this.#funcs = funcs;
    this.#onError = options.onError ?? null;
    this.#states = new Uint8Array(frames);
    for (let cookie = frames - 1; cookie >= 0; cookie--) this.#free.push(cookie);
    this.#receive = new RawReceive(options.rxBuffers ?? 256, this.counters);
    this.driver = {
      data: null,
      txComplete: (cookie) => this.#txComplete(cookie),
      allocateRxBuf: (size) => this.#receive.allocate(size),
      rxComplete: (cookies, lengths) => this.#receive.complete(cookies, lengths),
    };
    const { mac, mtu } = funcs.lowLevelInit(this.driver);
    this.mac = Uint8Array.from(funcs.getMac?.(this.driver) ?? mac);
    this.mtu = mtu;
    if (this.mac.length !== 6) throw new RangeError(`an address of ${this.mac.length} bytes`);
    if (!Number.isInteger(mtu) || mtu < 68 || mtu > 0xffff) throw new RangeError(`an MTU of ${mtu}`);
  }

  /** Frames in flight, `enqueued`. */
  get outstanding(): number {
    return this.#states.length - this.#free.length;
  }

  take(burst: FrameBurst, first: number): number {
    for (let i = first; i < burst.count; i++) {
      if (this.#free.length === 0) {
        this.#refused = true;
        return i;
      }
      this.#send(burst, i);
    }
    return burst.count;
  }

  resume(): void {
    this.#receive.flush();
  }

  attach(peer: NetPort): void {
    this.#peer = peer;
    this.#receive.queue = new FrameQueue(peer);
  }

  detach(): void {
    this.#peer = null;
    this.#refused = false;
    this.#receive.queue = null;
  }

  /** Lets the backend poll for arrived frames. */
  poll(): void {
    this.#guard(() => this.#funcs.poll(this.driver));
  }

  /** Lets the backend show its state. */
  printState(): void {
    this.#guard(() => this.#funcs.printState(this.driver));
  }

  /** Tells the backend that the NIC's line went up. */
  handleIRQ(line: number): void {
    this.#guard(() => this.#funcs.handleIRQ(this.driver, line));
  }

  /** Copies the frame, because it may be in flight long after the guest's buffers are returned. */
  #send(burst: FrameBurst, i: number): void {
    const cookie = this.#free.pop()!;
    const length = burst.lengths[i];
    let bytes = this.#buffers[cookie];
    if (bytes === undefined || bytes.length < length) {
      bytes = new Uint8Array(Math.max(length, 2048));
      this.#buffers[cookie] = bytes;
    }
    burst.copyFrame(i, 0, bytes, 0, length);
    this.#states[cookie] = SENDING;
    const result = this.#tx(bytes.subarray(0, length), cookie);
    if (result === "enqueued" && this.#states[cookie] === SENDING) {
      this.#states[cookie] = OUT;
      return;
    }
    if (result === "failed") this.counters.txFailed++;
    else this.counters.txComplete++;
    this.#states[cookie] = FREE;
    this.#free.push(cookie);
  }

  #tx(frame: Uint8Array, cookie: number): RawTxResult {
    try {
      const result = this.#funcs.tx(this.driver, [frame], cookie);
      return result === "enqueued" || result === "complete" ? result : "failed";
    } catch (cause) {
      this.#failed(cause);
      return "failed";
    }
  }

  #txComplete(cookie: number): void {
    if (this.#states[cookie] === SENDING) {
      this.#states[cookie] = EARLY;
      return;
    }
    if (this.#states[cookie] !== OUT) {
      this.counters.strayCompletions++;
      return;
    }
    this.#states[cookie] = FREE;
    this.#free.push(cookie);
    this.counters.txComplete++;
    if (!this.#refused) return;
    this.#refused = false;
    this.#peer?.resume();
  }

  #guard(call: () => void): void {
    try {
      call();
    } catch (cause) {
      this.#failed(cause);
    }
  }

  #failed(cause: unknown): void {
    this.counters.errors++;
    if (this.#onError !== null) report(cause, this.#onError);
  }
}
