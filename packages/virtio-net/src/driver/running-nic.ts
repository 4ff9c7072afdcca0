/**
 * One life of a NIC, from the set-up of its queues to its reset: VIRTIO 1.4, 5.1.5 and 5.1.6.5. Part of the NIC driver.
 * @module
 */

import { DriverError, type Virtqueue } from "@virtio-ts/virtio-driver";
import {
  CONFIG_MAC,
  CTRL_ANNOUNCE,
  CTRL_ANNOUNCE_ACK,
  CTRL_MAC,
  CTRL_MAC_ADDR_SET,
  CTRL_MQ,
  CTRL_MQ_HASH_CONFIG,
  CTRL_MQ_VQ_PAIRS_SET,
  CTRL_RX,
  CTRL_RX_ALLMULTI,
  CTRL_RX_PROMISC,
  controlQueue,
  receiveQueue,
  transmitQueue,
  VIRTIO_NET_F_CTRL_MAC_ADDR,
  VIRTIO_NET_F_CTRL_RX,
  VIRTIO_NET_F_CTRL_VQ,
  VIRTIO_NET_F_HASH_REPORT,
} from "../layout/index.ts";
import { ControlQueue } from "./control-queue.ts";
import type { OpenNic } from "./negotiation.ts";
import type { NicRxQueue } from "./rx-queue.ts";
import { NETDEV_EINVAL, type NETDEV_EIO } from "./status.ts";
import type { NicTxQueue } from "./tx-queue.ts";

/** Elements of a packet in one descriptor with an indirect table: 64 KiB in pages, and headers. */
const PACKET_ELEMENTS = 18;
/** Entries of the control queue: a command takes three. */
const CONTROL_SIZE = 4;
/** Bytes of the key of a Toeplitz hash over IPv6 addresses and ports. */
const HASH_KEY_BYTES = 40;

/** The settings of a NIC that a reset clears. */
export interface NicSettings {
  /** Its address. */
  readonly mac: Uint8Array;
  /** Whether it receives frames for others. */
  readonly promiscuous: boolean;
}

/** An open NIC, with its queues. */
export class RunningNic {
  readonly #nic: OpenNic;
  readonly #rxqs: readonly NicRxQueue[];
  readonly #txqs: readonly NicTxQueue[];
  #control: ControlQueue | null = null;
  #announcing = false;

  /** @param rxqs as many as `txqs` */
  constructor(nic: OpenNic, rxqs: readonly NicRxQueue[], txqs: readonly NicTxQueue[]) {
    this.#nic = nic;
    this.#rxqs = rxqs;
    this.#txqs = txqs;
  }

  /**
   * Sets the queues up, with interrupts off and receive buffers in place, sets DRIVER_OK, and then applies the
   * settings. Packets flow once that is done. If it fails, call {@link close}.
   * @throws DriverError
   */
  async start(settings: NicSettings): Promise<void> {
    const { device, maxPairs } = this.#nic;
    const pairs = this.#rxqs.length;
    const controlled = device.has(VIRTIO_NET_F_CTRL_VQ);
    await device.bindInterrupts(2 * pairs + (controlled ? 1 : 0));
    const opened: (() => void)[] = [];
    for (let pair = 0; pair < pairs; pair++) {
      const [rxq, txq] = [this.#rxqs[pair], this.#txqs[pair]];
      const rx = await this.#createQueue(receiveQueue(pair), rxq.size, 0);
      rxq.prepare(rx);
      const tx = await this.#createQueue(transmitQueue(pair), txq.size, PACKET_ELEMENTS);
      opened.push(
        () => rxq.open(rx),
        () => txq.open(tx),
      );
    }
    if (controlled) {
      const virtqueue = await device.createQueue<null>(controlQueue(maxPairs), { size: CONTROL_SIZE });
      this.#control = new ControlQueue(device, virtqueue);
    }
    await device.start();
    await this.#configure(settings);
    // A failure may have shut the queues: they must stay shut.
    if (device.failure !== null) throw device.failure;
    for (const open of opened) open();
  }

  /** Sets the address that the NIC receives frames for. @throws DriverError `not-supported`; those of commands */
  async setMac(mac: Uint8Array): Promise<void> {
    const { device } = this.#nic;
    if (device.has(VIRTIO_NET_F_CTRL_MAC_ADDR)) await this.#command(CTRL_MAC, CTRL_MAC_ADDR_SET, [...mac]);
    // A transitional device reads it from its configuration, written from the first byte to the last (5.1.6.5.2.3).
    else mac.forEach((byte, i) => void device.config.write8(CONFIG_MAC + i, byte));
  }

  /** Sets whether the NIC receives frames for others too. @throws DriverError those of commands */
  setPromiscuous(on: boolean): Promise<void> {
    return this.#command(CTRL_RX, CTRL_RX_PROMISC, [on ? 1 : 0]);
  }

  /** Acknowledges the NIC's request to announce; one at a time. If it fails, the NIC asks again. */
  acknowledgeAnnounce(): void {
    if (this.#announcing) return;
    this.#announcing = true;
    const done = (): void => {
      this.#announcing = false;
    };
    this.#command(CTRL_ANNOUNCE, CTRL_ANNOUNCE_ACK).then(done, done);
  }

  /** Stops the flow of packets. @param answer the result of further calls */
  shut(answer: typeof NETDEV_EINVAL | typeof NETDEV_EIO): void {
    for (const queue of [...this.#rxqs, ...this.#txqs]) queue.shut(answer);
    this.#control?.shut();
  }

  /**
   * Resets the device and takes all buffers back.
   * @throws DriverError `timeout`: the device still has them; call it again
   */
  async close(): Promise<void> {
    this.shut(NETDEV_EINVAL);
    await this.#nic.device.close();
    for (const queue of [...this.#rxqs, ...this.#txqs]) queue.recover();
    this.#control?.recover();
    this.#control = null;
  }

  async #createQueue(index: number, size: number, indirectEntries: number): Promise<Virtqueue<never>> {
    const virtqueue = await this.#nic.device.createQueue<never>(index, { size, indirectEntries });
    if (virtqueue.size <= size) return virtqueue;
    throw new DriverError("refused", `queue ${index} has ${virtqueue.size} entries, and had ${size}`);
  }

  /** Applies the settings that a reset cleared. */
  async #configure({ mac, promiscuous }: NicSettings): Promise<void> {
    const { device, mac: own } = this.#nic;
    if (device.has(VIRTIO_NET_F_HASH_REPORT)) await this.#configureHashes();
    if (own?.every((byte, i) => byte === mac[i]) !== true && canSetMac(this.#nic)) await this.setMac(mac);
    if (device.has(VIRTIO_NET_F_CTRL_RX)) {
      await this.setPromiscuous(promiscuous);
      // The driver does not know the stack's multicast addresses: receive all of them.
      await this.#command(CTRL_RX, CTRL_RX_ALLMULTI, [1]);
    }
    const pairs = this.#rxqs.length;
    if (pairs > 1) await this.#command(CTRL_MQ, CTRL_MQ_VQ_PAIRS_SET, [pairs & 0xff, pairs >>> 8]);
  }

  /** Asks for every supported hash, with a key of the driver's own. */
  async #configureHashes(): Promise<void> {
    const { types, keyBytes } = this.#nic.config.hashes ?? { types: 0, keyBytes: 0 };
    const key = Array.from({ length: Math.min(keyBytes, HASH_KEY_BYTES) }, () => Math.floor(Math.random() * 256));
    const words = [types & 0xff, (types >>> 8) & 0xff, (types >>> 16) & 0xff, types >>> 24];
    await this.#command(CTRL_MQ, CTRL_MQ_HASH_CONFIG, [...words, 0, 0, 0, 0, 0, 0, 0, 0, key.length, ...key]);
  }

  async #command(commandClass: number, command: number, data: readonly number[] = []): Promise<void> {
    if (this.#control === null) throw new DriverError("not-supported", "the NIC has no control queue");
    await this.#control.command(commandClass, command, data);
  }
}

/** Whether the address that a NIC receives frames for can be set: by command, or in a legacy device's configuration. */
export function canSetMac({ device, mac }: OpenNic): boolean {
  return device.has(VIRTIO_NET_F_CTRL_MAC_ADDR) || (device.transport.legacy && mac !== null);
}
