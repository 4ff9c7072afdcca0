/**
 * A NIC from one life to the next: opened, used, closed, opened again, and the same as before; and what it says of
 * itself meanwhile (VIRTIO 1.4, 3.1.1, 5.1.6.5.4). Part of the NIC driver.
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
 * How a driver is to be. Its functions are called in the host's interrupt delivery; what one throws fails the driver,
 * and `onFailure` is told, whose own errors are lost.
 */
export interface NetDriverOptions {
  /** Features not to be accepted though the driver knows them: of the NIC, or of chapter 6. */
  readonly without?: bigint;
  /** Told when the link goes up or down. */
  readonly onLink?: (up: boolean) => void;
  /**
   * Asks the network stack to announce its addresses: the NIC is somewhere else now. Without it the driver does not
   * offer to (VIRTIO_NET_F_GUEST_ANNOUNCE).
   */
  readonly onAnnounce?: () => void;
  /** Told when the device has failed, or is gone: nothing goes on before `stop` and `start`. */
  readonly onFailure?: (cause: DriverError) => void;
}

/** The lives of one NIC. */
export class NicLives {
  /** Whether the link is up, as far as the NIC has said. */
  linkUp = true;
  readonly #transport: DriverTransport;
  readonly #host: DriverHost;
  readonly #options: NetDriverOptions;
  #nic: OpenNic | null = null;
  /** `#nic` was used: its next life begins with a reset. */
  #spent = false;
  /** What runs, or could not be closed. */
  #running: RunningNic | null = null;
  /** Packets flow. */
  #live = false;

  constructor(transport: DriverTransport, host: DriverHost, options: NetDriverOptions) {
    this.#transport = transport;
    this.#host = host;
    this.#options = options;
  }

  /** The NIC as it was opened last, or `null`. */
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

  /** Begins a life with these queues. Where it fails all is as before. @throws DriverError */
  async start(rxqs: readonly NicRxQueue[], txqs: readonly NicTxQueue[], settings: NicSettings): Promise<void> {
    await this.close(); // what could not be closed before
    const nic = await this.#fresh();
    this.#spent = true;
    const running = new RunningNic(nic, rxqs, txqs);
    this.#running = running;
    try {
      await running.start(settings);
    } catch (cause) {
      await this.close().catch(() => {}); // tried again by the next call
      throw cause;
    }
    this.#live = true;
    this.#configChanged();
  }

  /** Ends the life, if there is one. @throws DriverError `timeout`: to be called again */
  async close(): Promise<void> {
    this.#live = false;
    await this.#running?.close();
    this.#running = null;
  }

  /** Lets go of the NIC, whatever it is at. @throws DriverError `timeout`: to be called again */
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

  /** A NIC that has agreed on features, and no more. */
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

  /** Looks at the link. @returns `status`; of a NIC that does not say the link is up */
  #readLink(): number {
    const nic = this.#nic;
    const status = (nic?.device.has(VIRTIO_NET_F_STATUS) === true ? nic.config.status : null) ?? STATUS_LINK_UP;
    this.linkUp = (status & STATUS_LINK_UP) !== 0;
    return status;
  }
}
