/**
 * Typed access to the config page in shared memory. The other side may write anything there: read a value once, and
 * check it before use. For both halves.
 * @module
 */

import { L4VirtioError } from "./errors.ts";
import { CONFIG_PAGE_SIZE, type HeaderLayout } from "./header.ts";
import {
  QUEUE_AVAIL,
  QUEUE_DESC,
  QUEUE_DEVICE_NOTIFY_INDEX,
  QUEUE_DRIVER_NOTIFY_INDEX,
  QUEUE_ENTRY_SIZE,
  QUEUE_NUM,
  QUEUE_NUM_MAX,
  QUEUE_READY,
  QUEUE_USED,
  type QueueEntry,
} from "./queue-entry.ts";

const ADDRESSES = [QUEUE_DESC, QUEUE_AVAIL, QUEUE_USED] as const;

/** A view of the config page. Offsets are bytes from its start; words are little-endian, like the host. */
export class ConfigPage {
  /** The offsets of this page's fields. */
  readonly header: HeaderLayout;
  /** The page by 32-bit words. */
  readonly words: Uint32Array;
  readonly #halves: Uint16Array;

  /**
   * @param bytes at least the page, at a byte offset that is a multiple of 8
   * @throws L4VirtioError `page` if they are too few or misaligned
   */
  constructor(bytes: Uint8Array, header: HeaderLayout) {
    if (bytes.length < CONFIG_PAGE_SIZE || bytes.byteOffset % 8 !== 0) {
      throw new L4VirtioError("page", `a config page of ${bytes.length} bytes at byte offset ${bytes.byteOffset}`);
    }
    this.header = header;
    this.words = new Uint32Array(bytes.buffer, bytes.byteOffset, CONFIG_PAGE_SIZE / 4);
    this.#halves = new Uint16Array(bytes.buffer, bytes.byteOffset, CONFIG_PAGE_SIZE / 2);
  }

  /** Reads a word. */
  load(offset: number): number {
    return Atomics.load(this.words, offset >>> 2);
  }

  /** Writes a word, after all earlier writes. */
  store(offset: number, value: number): void {
    Atomics.store(this.words, offset >>> 2, value >>> 0);
  }

  /** Sets bits of a word. */
  setBits(offset: number, bits: number): void {
    Atomics.or(this.words, offset >>> 2, bits);
  }

  /** Writes a word if it still is `expected`. */
  replace(offset: number, expected: number, value: number): void {
    Atomics.compareExchange(this.words, offset >>> 2, expected, value);
  }

  /** Reads a map of features. */
  loadFeatures(map: number): bigint {
    let features = 0n;
    for (let i = this.header.featureWords - 1; i >= 0; i--)
      features = (features << 32n) | BigInt(this.load(map + 4 * i));
    return features;
  }

  /** Writes a map of features, without the bits past its end. */
  storeFeatures(map: number, features: bigint): void {
    for (let i = 0; i < this.header.featureWords; i++) {
      this.store(map + 4 * i, Number(BigInt.asUintN(32, features >> BigInt(32 * i))));
    }
  }

  /** Reads `num_max` of the queue entry at `at`. */
  loadNumMax(at: number): number {
    return this.#load16(at + QUEUE_NUM_MAX);
  }

  /** Reads the driver's fields of the queue entry at `at`, each once. */
  loadQueue(at: number): QueueEntry {
    const ready = this.#load16(at + QUEUE_READY);
    return {
      num: this.#load16(at + QUEUE_NUM),
      ready,
      driverNotifyIndex: this.#load16(at + QUEUE_DRIVER_NOTIFY_INDEX),
      deviceNotifyIndex: this.#load16(at + QUEUE_DEVICE_NOTIFY_INDEX),
      halves: ADDRESSES.flatMap((offset) => [this.load(at + offset), this.load(at + offset + 4)]),
    };
  }

  /** Writes the driver's fields of the queue entry at `at`; `ready` last. */
  storeQueue(at: number, entry: QueueEntry): void {
    this.#store16(at + QUEUE_NUM, entry.num);
    this.#store16(at + QUEUE_DRIVER_NOTIFY_INDEX, entry.driverNotifyIndex);
    this.#store16(at + QUEUE_DEVICE_NOTIFY_INDEX, entry.deviceNotifyIndex);
    ADDRESSES.forEach((offset, area) => {
      this.store(at + offset, entry.halves[2 * area]);
      this.store(at + offset + 4, entry.halves[2 * area + 1]);
    });
    this.storeReady(at, entry.ready);
  }

  /** Writes `num_max` of the queue entry at `at`. */
  storeNumMax(at: number, numMax: number): void {
    this.#store16(at + QUEUE_NUM_MAX, numMax);
  }

  /** Writes `ready` of the queue entry at `at`. */
  storeReady(at: number, ready: number): void {
    this.#store16(at + QUEUE_READY, ready);
  }

  #load16(offset: number): number {
    return Atomics.load(this.#halves, offset >>> 1);
  }

  #store16(offset: number, value: number): void {
    Atomics.store(this.#halves, offset >>> 1, value);
  }
}

/** Offset of queue entry `index` in the page. */
export function queueEntryAt(queuesOffset: number, index: number): number {
  return queuesOffset + index * QUEUE_ENTRY_SIZE;
}
