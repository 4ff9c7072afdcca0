/** The NIC driver at work: sends numbered frames, is told of what comes back by interrupts alone, and checks it. */

import type { DriverHost, DriverTransport } from "@virtio-ts/virtio-driver";
import {
  NETDEV_STATUS_SUCCESS,
  NetbufPool,
  NetDriver,
  PacketBurst,
  type RxQueue,
  type TxQueue,
} from "@virtio-ts/virtio-net/driver";

const BURST = 64;
const LENGTHS = [60, 64, 61, 590, 60, 128, 1514, 63];

export class LoopDriver {
  readonly driver: NetDriver;
  /** Frames that came back, each as it was sent. */
  received = 0;
  #sent = 0;
  readonly #pool: NetbufPool;
  readonly #out = new PacketBurst(BURST);
  readonly #in = new PacketBurst(BURST);
  #txq!: TxQueue;
  #rxq!: RxQueue;

  /** @param without features of chapter 6 that the driver is to leave alone */
  constructor(transport: DriverTransport, host: DriverHost, without: bigint) {
    this.driver = new NetDriver(transport, host, { without });
    this.#pool = new NetbufPool(host, { count: 1024, capacity: 1526 });
  }

  /** Takes the driver to where frames flow. */
  async start(): Promise<void> {
    const pool = this.#pool;
    await this.driver.probe();
    this.driver.configure(1, 1);
    this.#txq = this.driver.txqConfigure(0, 256, { pool });
    const onEvent = (): void => this.#receive();
    this.#rxq = this.driver.rxqConfigure(0, 256, { pool, allocate: pool.allocateInto, onEvent });
    await this.resume();
  }

  /** Starts anew after `driver.stop`. */
  async resume(): Promise<void> {
    await this.driver.start();
    expectZero(this.#rxq.interruptEnable());
  }

  /** Sends `count` frames. @throws Error where one does not come back, or not as it was */
  exchange(count: number): void {
    const until = this.#sent + count;
    while (this.#sent < until) {
      const burst = this.#out.clear();
      const size = Math.min(BURST, until - this.#sent);
      for (let i = 0; i < size; i++) burst.add(this.#fill(this.#sent++));
      const status = this.#txq.txBurst(burst);
      if ((status & NETDEV_STATUS_SUCCESS) === 0 || burst.next < size)
        throw new Error(`transmitting answers ${status}`);
      if (this.received !== this.#sent) throw new Error(`${this.received} of ${this.#sent} frames came back`);
    }
  }

  /** Ends everything; that no buffer was lost is checked by the pool. */
  async end(): Promise<void> {
    await this.driver.destroy();
    this.#pool.destroy();
  }

  /** The interrupt: interrupts come on again by themselves once nothing is left. */
  #receive(): void {
    while ((this.#rxq.rxBurst(this.#in) & NETDEV_STATUS_SUCCESS) !== 0) {
      for (let i = 0; i < this.#in.count; i++) this.#check(this.#in.packets[i]);
    }
  }

  /** Frame `n`; every third one in two buffers, for chains and tables to be made. */
  #fill(n: number): number {
    const pool = this.#pool;
    const packet = pool.allocate();
    const cut = n % 3 === 0 ? 40 : lengthOf(n);
    this.#write(packet, n, 0, cut);
    if (cut < lengthOf(n)) {
      pool.next[packet] = pool.allocate();
      this.#write(pool.next[packet], n, cut, lengthOf(n));
    }
    return packet;
  }

  #write(buffer: number, n: number, from: number, to: number): void {
    const pool = this.#pool;
    const { u8 } = pool.region;
    const start = pool.start(buffer);
    for (let i = from; i < to; i++) u8[start + i - from] = byteOf(n, i);
    pool.lengths[buffer] = to - from;
  }

  #check(packet: number): void {
    const pool = this.#pool;
    const n = this.received;
    const { u8 } = pool.region;
    const start = pool.start(packet);
    const length = lengthOf(n);
    if (pool.packetLength(packet) !== length) {
      throw new Error(`frame ${n} of ${length} bytes came as ${pool.packetLength(packet)}`);
    }
    for (let i = 0; i < length; i++) {
      if (u8[start + i] !== byteOf(n, i)) throw new Error(`byte ${i} of frame ${n} is ${u8[start + i]}`);
    }
    pool.release(packet);
    this.received++;
  }
}

const lengthOf = (n: number): number => LENGTHS[n % LENGTHS.length];
/** An Ethernet type for local experiments, and around it what follows from the frame's number. */
const byteOf = (n: number, i: number): number =>
  i === 12 ? 0x88 : i === 13 ? 0xb5 : (n * 31 + i * 7 + (i >> 8)) & 255;

function expectZero(pending: number): void {
  if (pending !== 0) throw new Error("packets are pending where none was sent");
}
