/**
 * The NIC driver on NICs of this package, in one process: frames go out, come back, and are checked or only counted.
 * For tests and benchmarks of both halves together, over any transport.
 * @module
 */

import type { DriverHost, DriverTransport } from "@virtio-ts/virtio-driver";
import {
  NetbufPool,
  NetDriver,
  type NetDriverOptions,
  NO_NETBUF,
  netdevMore,
  PacketBurst,
  type RxQueue,
  type TxQueue,
} from "../driver/index.ts";

/** Options of a {@link DriverRig}. */
export interface DriverRigOptions extends NetDriverOptions {
  /** Entries of each queue; the maximum by default. */
  readonly entries?: number;
  /** Buffers in the pool; 1024 by default. */
  readonly buffers?: number;
  /** Bytes of a packet in each buffer; 1536 by default. Longer packets take several. */
  readonly capacity?: number;
  /** Packets passed at a time; 64 by default. */
  readonly burst?: number;
  /** Queue pairs; 1 by default. */
  readonly pairs?: number;
}

/** A driver with its pool. Its NIC must be connected to itself: `nic.attach(nic)`. */
export class DriverRig {
  /** The driver. */
  readonly driver: NetDriver;
  /** The pool of all its packets. */
  readonly pool: NetbufPool;
  /** Its receive queues, once started. */
  rxqs: readonly RxQueue[] = [];
  /** Its transmit queues, once started. */
  txqs: readonly TxQueue[] = [];
  readonly #options: DriverRigOptions;
  readonly #out: PacketBurst;
  readonly #in: PacketBurst;

  constructor(transport: DriverTransport, host: DriverHost, options: DriverRigOptions = {}) {
    const { buffers: count = 1024, capacity = 1536, burst = 64 } = options;
    this.pool = new NetbufPool(host, { count, capacity });
    this.driver = new NetDriver(transport, host, options);
    this.#options = options;
    this.#out = new PacketBurst(burst);
    this.#in = new PacketBurst(burst);
  }

  /** Takes the driver to RUNNING. */
  async start(): Promise<this> {
    const { driver, pool } = this;
    const { entries = 0, pairs = 1 } = this.#options;
    await driver.probe();
    driver.configure(pairs, pairs);
    const ids = Array.from({ length: pairs }, (_, id) => id);
    this.txqs = ids.map((id) => driver.txqConfigure(id, entries, { pool }));
    this.rxqs = ids.map((id) => driver.rxqConfigure(id, entries, { pool, allocate: pool.allocateInto }));
    await driver.start();
    return this;
  }

  /** Stops the driver and destroys the pool, which fails if a buffer was lost. */
  async end(): Promise<void> {
    await this.driver.destroy();
    this.pool.destroy();
  }

  /**
   * Sends `frames` frames of `length` bytes through queue pair `pair`, with the buffers' present contents, and receives
   * as many.
   * @param length at most a buffer's capacity
   * @throws Error if frames stop coming back
   */
  loop(frames: number, length: number, pair = 0): void {
    const { lengths } = this.pool;
    this.#exchange(frames, pair, (packet) => {
      lengths[packet] = length;
    });
  }

  /**
   * {@link loop} with checked frames.
   * @param lengths of the frames, each at least 60, repeated in turn
   * @throws Error if a frame is lost or altered
   */
  loopChecked(frames: number, lengths: readonly number[], pair = 0): void {
    const { pool } = this;
    let sent = 0;
    let received = 0;
    const fill = (packet: number): void => {
      const frame = new Uint8Array(lengths[sent % lengths.length]);
      for (let i = 0; i < frame.length; i++) frame[i] = pattern(sent, i);
      pool.write(packet, frame.subarray(0, pool.capacity));
      for (let at = pool.capacity, last = packet; at < frame.length; at += pool.capacity) {
        const buffer = pool.allocate();
        if (buffer === NO_NETBUF) throw new Error("the pool is too small");
        pool.write(buffer, frame.subarray(at, at + pool.capacity));
        pool.next[last] = buffer;
        last = buffer;
      }
      sent++;
    };
    const check = (packet: number): void => {
      const bytes = pool.read(packet);
      const length = lengths[received % lengths.length];
      if (bytes.length !== length) throw new Error(`frame ${received} of ${length} bytes came as ${bytes.length}`);
      for (let i = 0; i < length; i++) {
        if (bytes[i] !== pattern(received, i)) throw new Error(`byte ${i} of frame ${received} is ${bytes[i]}`);
      }
      received++;
    };
    this.#exchange(frames, pair, fill, check);
  }

  /** Sends and receives until `frames` frames have come back; frames that find the ring full are sent later. */
  #exchange(frames: number, pair: number, fill: (packet: number) => void, check?: (packet: number) => void): void {
    const [rxq, txq] = [this.rxqs[pair], this.txqs[pair]];
    const out = this.#out.clear();
    let idle = 0;
    for (let filled = 0, received = 0; received < frames; ) {
      if (out.next === out.count) filled += this.#fill(frames - filled, fill);
      const status = txq.txBurst(out);
      if (status < 0) throw new Error(`transmit queue ${pair} answered ${status}`);
      const came = this.#receive(rxq, check);
      received += came;
      idle = came > 0 ? 0 : idle + 1;
      if (idle > 8) throw new Error(`${received} of ${filled} frames came back`);
    }
  }

  /** Fills the transmit burst with up to `left` new packets. @returns how many */
  #fill(left: number, fill: (packet: number) => void): number {
    const burst = this.#out.clear();
    const room = Math.min(left, burst.packets.length, this.pool.available);
    burst.count = this.pool.allocateInto(burst.packets, room);
    for (let i = 0; i < room; i++) fill(burst.packets[i]);
    return room;
  }

  #receive(rxq: RxQueue, check: ((packet: number) => void) | undefined): number {
    const burst = this.#in;
    let came = 0;
    let status: number;
    do {
      status = rxq.rxBurst(burst);
      if (status < 0) throw new Error(`receive queue ${rxq.id} answered ${status}`);
      if (check !== undefined) for (let i = 0; i < burst.count; i++) check(burst.packets[i]);
      this.pool.releaseAll(burst.packets, burst.count);
      came += burst.count;
    } while (netdevMore(status));
    return came;
  }
}

/** Byte `i` of frame `frame`. The Ethernet type is 0x88b5, which no stack handles. */
function pattern(frame: number, i: number): number {
  return i === 12 ? 0x88 : i === 13 ? 0xb5 : (frame * 31 + i * 7 + (i >> 8)) & 0xff;
}
