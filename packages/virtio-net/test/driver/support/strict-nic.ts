/**
 * A NIC written from the standard for tests of the driver: several queue pairs, a control queue, every feature. It
 * remembers what the driver does, notes what it may not do, and lies where a test tells it to.
 */
import { feature } from "@virtio-ts/virtio-bindings";
import {
  type ActivationContext,
  type ActiveQueue,
  type ConfigError,
  ConfigSpace,
  type VirtioDevice,
} from "@virtio-ts/virtio-device";
import { ChainBurst } from "@virtio-ts/virtio-queue";

export const F = {
  CSUM: 0,
  GUEST_CSUM: 1,
  MTU: 3,
  MAC: 5,
  GUEST_TSO4: 7,
  GUEST_TSO6: 8,
  GUEST_ECN: 9,
  HOST_TSO4: 11,
  HOST_TSO6: 12,
  HOST_ECN: 13,
  MRG_RXBUF: 15,
  STATUS: 16,
  CTRL_VQ: 17,
  CTRL_RX: 18,
  CTRL_VLAN: 19,
  GUEST_ANNOUNCE: 21,
  MQ: 22,
  CTRL_MAC_ADDR: 23,
  HASH_REPORT: 57,
  STANDBY: 62,
  SPEED_DUPLEX: 63,
} as const;

/** A packet the driver gave to be sent. */
export interface Sent {
  pair: number;
  /** Bytes of each descriptor. */
  elements: number[];
  /** Header and frame. */
  bytes: Uint8Array;
}

/** A command the driver sent. */
export interface Command {
  class: number;
  command: number;
  data: number[];
  /** Bytes of each descriptor, those the device writes last. */
  elements: number[];
}

export interface StrictNicOptions {
  features?: readonly number[];
  pairs?: number;
  size?: number;
  configSize?: number;
  /** Bytes of configuration space, by offset. */
  config?: Readonly<Record<number, readonly number[]>>;
}

export const STRICT_MAC = [0x52, 0x54, 0, 0xaa, 0xbb, 0xcc];

export class StrictNic implements VirtioDevice {
  readonly deviceType: number = 1;
  readonly queueMaxSizes: readonly number[];
  readonly controlQueueMaxSize: number;
  readonly configSize: number;
  features: bigint;
  readonly config: ConfigSpace;
  readonly sent: Sent[] = [];
  readonly commands: Command[] = [];
  /** What the driver did and may not do. */
  readonly problems: string[] = [];
  /** Writes of configuration space: offset and bytes. */
  readonly configWrites: [number, number[]][] = [];
  /** What the answer to a command is: by default 0 where it was negotiated, else 1. `null`: there is none. */
  answer: (command: Command, wellFormed: boolean) => number | null = (_, wellFormed) => (wellFormed ? 0 : 1);
  /** Pairs in use. */
  activePairs = 1;
  promiscuous = true;
  allMulticast = false;
  /** Whether transmitted packets are used at once. */
  completes = true;
  context: ActivationContext | null = null;
  resets = 0;
  activations = 0;
  readonly #pairs: number;
  readonly #mac: Uint8Array;
  readonly #held: [ActiveQueue, number][] = [];

  constructor(options: StrictNicOptions = {}) {
    const { features = [F.MAC, F.STATUS], pairs = 1, size = 16, configSize = 24 } = options;
    this.#pairs = pairs;
    this.features = feature(...features);
    this.queueMaxSizes = new Array<number>(2 * pairs).fill(size);
    this.controlQueueMaxSize = features.includes(F.CTRL_VQ) ? 8 : 0;
    this.configSize = configSize;
    this.config = new ConfigSpace(24, [[0, 24]]);
    this.config.bytes.set(STRICT_MAC, 0);
    this.config.view.setUint16(6, 1, true);
    this.config.view.setUint16(8, pairs, true);
    this.config.view.setUint16(10, 1500, true);
    this.config.view.setUint32(12, 10_000, true);
    this.config.view.setUint8(16, 1);
    this.config.view.setUint8(17, 40);
    this.config.view.setUint32(20, 0x1ff, true);
    for (const [offset, bytes] of Object.entries(options.config ?? {})) this.config.bytes.set(bytes, Number(offset));
    this.#mac = this.config.bytes.slice(0, 6);
  }

  readConfig(offset: number, data: Uint8Array): ConfigError | null {
    return this.config.read(offset, data);
  }

  writeConfig(offset: number, data: Uint8Array, legacy: boolean): ConfigError | null {
    this.configWrites.push([offset, [...data]]);
    if (!legacy) this.problems.push(`configuration was written at ${offset}`);
    return this.config.write(offset, data);
  }

  activate(context: ActivationContext): void {
    this.activations++;
    this.context = context;
    this.activePairs = 1;
  }

  reset(): void {
    this.resets++;
    this.context = null;
    this.promiscuous = true;
    this.allMulticast = false;
    this.config.bytes.set(this.#mac, 0);
    this.#held.length = 0;
  }

  queueNotify(index: number): void {
    const active = this.context?.queues[index];
    if (active === null || active === undefined) this.problems.push(`queue ${index} was notified`);
    else if (index === 2 * this.#pairs) this.#control(active);
    else if (index % 2 === 1) this.#transmit(active);
  }

  /** Gives back what was held because of `completes`. */
  complete(): void {
    for (const [active, head] of this.#held.splice(0)) active.queue.push(head, 0);
    this.#flush();
  }

  /**
   * Gives the driver buffers of receive queue `pair`: each with the bytes, and the length it is said to have, by
   * default theirs.
   * @returns how many there were
   */
  deliver(pair: number, ...buffers: (Uint8Array | [bytes: Uint8Array, length: number])[]): number {
    const active = this.context?.queues[2 * pair];
    if (active === null || active === undefined) return 0;
    const burst = new ChainBurst(this.context!.memory);
    const count = Math.max(0, active.queue.pop(burst, buffers.length));
    for (let i = 0; i < count; i++) {
      const given = buffers[i];
      const [bytes, length] = given instanceof Uint8Array ? [given, given.length] : given;
      burst.copyIn(i, 0, bytes, 0, Math.min(bytes.length, burst.writableBytes[i]));
      active.queue.push(burst.heads[i], length);
    }
    if (active.queue.flush()) active.notifier.notify();
    return count;
  }

  /** Receive buffers that the driver has made available, their bytes. */
  buffers(pair: number): number[] {
    const active = this.context?.queues[2 * pair];
    if (active === null || active === undefined) return [];
    const burst = new ChainBurst(this.context!.memory);
    const count = Math.max(0, active.queue.pop(burst, 256));
    const lengths = Array.from({ length: count }, (_, i) => burst.writableBytes[i]);
    active.queue.rewind(burst, 0);
    return lengths;
  }

  /** Sets `status` and tells the driver. */
  setStatus(status: number): void {
    this.config.view.setUint16(6, status, true);
    this.context?.configChanged();
  }

  #flush(): void {
    for (const active of this.context?.queues ?? []) if (active?.queue.flush()) active.notifier.notify();
  }

  #transmit(active: ActiveQueue): void {
    const pair = (active.index - 1) / 2;
    const burst = new ChainBurst(this.context!.memory);
    while (active.queue.pop(burst, 16) > 0) {
      for (let i = 0; i < burst.count; i++) {
        const bytes = new Uint8Array(burst.readableBytes[i]);
        burst.copyOut(i, 0, bytes, 0, bytes.length);
        const elements = [...burst.lengths.subarray(burst.first[i], burst.first[i + 1])];
        if (burst.writableBytes[i] > 0) this.problems.push("a packet to be sent has a device-writable part");
        if (pair >= this.activePairs) this.problems.push(`a packet by pair ${pair} of ${this.activePairs}`);
        this.sent.push({ pair, elements, bytes });
        if (this.completes) active.queue.push(burst.heads[i], 0);
        else this.#held.push([active, burst.heads[i]]);
      }
    }
    if (active.queue.flush()) active.notifier.notify();
  }

  #control(active: ActiveQueue): void {
    const burst = new ChainBurst(this.context!.memory);
    while (active.queue.pop(burst, 1) === 1) {
      const bytes = new Uint8Array(burst.readableBytes[0]);
      burst.copyOut(0, 0, bytes, 0, bytes.length);
      const elements = [...burst.lengths.subarray(burst.first[0], burst.first[1])];
      const command = { class: bytes[0], command: bytes[1], data: [...bytes.subarray(2)], elements };
      this.commands.push(command);
      const wellFormed = this.#obey(command);
      if (!wellFormed) this.problems.push(`command ${command.class}/${command.command} [${command.data}]`);
      if (burst.writableBytes[0] !== 1) this.problems.push(`an answer of ${burst.writableBytes[0]} bytes`);
      const ack = this.answer(command, wellFormed);
      if (ack === null) continue;
      burst.copyIn(0, 0, Uint8Array.of(ack), 0, 1);
      active.queue.push(burst.heads[0], 1);
      if (active.queue.flush()) active.notifier.notify();
    }
  }

  /** Does what a command says. @returns whether it is one that may be sent */
  #obey({ class: of, command, data }: Command): boolean {
    const has = (bit: number): boolean => this.context?.has(bit) === true;
    if (of === 0 && command <= 1) {
      if (!has(F.CTRL_RX) || data.length !== 1 || data[0] > 1) return false;
      if (command === 0) this.promiscuous = data[0] === 1;
      else this.allMulticast = data[0] === 1;
      return true;
    }
    if (of === 1 && command === 1) {
      if (!has(F.CTRL_RX) || !has(F.CTRL_MAC_ADDR) || data.length !== 6 || (data[0] & 1) !== 0) return false;
      this.config.bytes.set(data, 0);
      return true;
    }
    if (of === 3 && command === 0) {
      if (!has(F.GUEST_ANNOUNCE) || data.length !== 0) return false;
      this.config.bytes[6] &= ~2;
      return true;
    }
    if (of === 4 && command === 0) return has(F.MQ) && data.length === 2 && this.#setPairs(data[0] + data[1] * 256);
    if (of === 4 && command === 2) return has(F.HASH_REPORT) && data.length === 13 + data[12] && data[12] <= 40;
    return false;
  }

  #setPairs(pairs: number): boolean {
    if (pairs < 1 || pairs > this.#pairs) return false;
    for (let index = 0; index < 2 * pairs; index++) {
      if ((this.context?.queues[index] ?? null) === null) this.problems.push(`queue ${index} is not set up`);
    }
    this.activePairs = pairs;
    return true;
  }
}
