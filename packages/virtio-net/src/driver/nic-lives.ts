/**
 * A NIC across its lives: it is opened, used, closed and opened again unchanged, and reports its link (VIRTIO 1.4,
 * 3.1.1, 5.1.6.5.4). Part of the NIC driver.
 * @module
 */

import type { DriverError, DriverHost, DriverTransport } from "@virtio-ts/virtio-driver";
import { STATUS_ANNOUNCE, STATUS_LINK_UP, VIRTIO_NET_F_GUEST_ANNOUNCE, VIRTIO_NET_F_STATUS } from "../layout/index.ts";
import { checkUnchanged, type OpenNic, openNic } from "./negotiation.ts";
import { type NicSettings, RunningNic } from "./running-nic.ts";
import type { NicRxQueue } from "./rx-queue.ts";
import { NETDEV_EIO } from "./status.ts";
import type { NicTxQueue } from "./tx-queue.ts";

/**
 * Options of a driver. The functions are called in the host's interrupt delivery. If one throws, the driver fails and
 * `onFailure` is called; errors of `onFailure` are lost.
 */
export interface NetDriverOptions {
  /** Features to exclude although the driver supports them: of the NIC, or of chapter 6. */
  readonly without?: bigint;
  /** Called when the link goes up or down. */
  readonly onLink?: (up: boolean) => void;
  /**
   * Called when the network stack must announce its addresses, because the NIC has moved. Without it, the driver does
   * not accept VIRTIO_NET_F_GUEST_ANNOUNCE.
   */
  readonly onAnnounce?: () => void;
  /** Called when the device has failed, or is gone: only `stop` and `start` help. */
  readonly onFailure?: (cause: DriverError) => void;
}

/** The lives of one NIC. */
export class NicLives {
  /** Whether the link is up, as last read from the NIC. */
  linkUp = true;
  readonly #transport: DriverTransport;
  readonly #host: DriverHost;
  readonly #options: NetDriverOptions;
  #nic: OpenNic | null = null;
  /** `#nic` was used: its next life begins with a reset. */
  #spent = false;
  /** The NIC that runs, or that could not be closed. */
  #running: RunningNic | null = null;
  /** Packets flow. */
  #live = false;

  constructor(transport: DriverTransport, host: DriverHost, options: NetDriverOptions) {
    this.#transport = transport;
    this.#host = host;
    this.#options = options;
  }

  /** The NIC as last opened, or `null`. */
  get nic(): OpenNic | null {
    return this.#nic;
  }

  /** The NIC while packets flow, or `null`. */
  get running(): RunningNic | null {
    return this.#live ? this.#running : null;
  }

  /** Opens the NIC for the first time. @throws DriverError as {@link openNic} */
  async probe(): Promise<OpenNic> {
    const nic = await this.#open();
    this.#readLink();
    return nic;
  }

  /** Begins a life with these queues. If it fails, nothing has changed. @throws DriverError */
  async start(rxqs: readonly NicRxQueue[], txqs: readonly NicTxQueue[], settings: NicSettings): Promise<void> {
    await this.close(); // in case the last close failed
    const nic = await this.#fresh();
    this.#spent = true;
    const running = new RunningNic(nic, rxqs, txqs);
    this.#running = running;
    try {
      await running.start(settings);
    } catch (cause) {
      await this.close().catch(() => {}); // the next call tries again
      throw cause;
    }
    this.#live = true;
    this.#configChanged();
  }

  /** Ends the life, if there is one. @throws DriverError `timeout`: call it again */
  async close(): Promise<void> {
    this.#live = false;
    await this.#running?.close();
    this.#running = null;
  }

  /** Releases the NIC, in any state. @throws DriverError `timeout`: call it again */
  async end(): Promise<void> {
    await this.close();
    if (!this.#spent) await this.#nic?.device.close();
  }

  async #open(): Promise<OpenNic> {
    const without = this.#options.onAnnounce === undefined ? 1n << BigInt(VIRTIO_NET_F_GUEST_ANNOUNCE) : 0n;
    const nic = await openNic(this.#transport, this.#host, (this.#options.without ?? 0n) | without);
    nic.device.onConfigChange = () => this.#configChanged();
    nic.device.onFailure = (cause) => this.#failed(cause);
    this.#nic = nic;
    this.#spent = false;
    return nic;
  }

  /** A NIC after feature negotiation only. */
  async #fresh(): Promise<OpenNic> {
    const before = this.#nic;
    if (before !== null && !this.#spent) return before;
    const nic = await this.#open();
    if (before !== null) checkUnchanged(before, nic);
    return nic;
  }

  #failed(cause: DriverError): void {
    this.#running?.shut(NETDEV_EIO);
    if (this.#live) this.#options.onFailure?.(cause);
  }

  #configChanged(): void {
    if (!this.#live) return;
    const before = this.linkUp;
    const announce = (this.#readLink() & STATUS_ANNOUNCE) !== 0;
    if (this.linkUp !== before) this.#options.onLink?.(this.linkUp);
    if (!announce || this.#nic?.device.has(VIRTIO_NET_F_GUEST_ANNOUNCE) !== true) return;
    this.#options.onAnnounce?.();
    this.#running?.acknowledgeAnnounce();
  }

  /** Reads the link state. @returns `status`; the link is up on a NIC that does not report it */
  #readLink(): number {
    const nic = this.#nic;
    const status = (nic?.device.has(VIRTIO_NET_F_STATUS) === true ? nic.config.status : null) ?? STATUS_LINK_UP;
    this.linkUp = (status & STATUS_LINK_UP) !== 0;
    return status;
  }
}
