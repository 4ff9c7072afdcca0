/**
 * The network device: VIRTIO 1.4, 5.1. One receive queue, one transmit queue, and a link to the other end of its
 * frames. For authors of machines.
 * @module
 */

import { type FrameBurst, type NetBackend, type NetPort, OFFLOAD_ALL, OFFLOAD_CSUM } from "@virtio-ts/net-link";
import { feature, VIRTIO_F_VERSION_1, VIRTIO_ID_NET } from "@virtio-ts/virtio-bindings";
import {
  type ActivationContext,
  type ActiveQueue,
  type ConfigError,
  ConfigSpace,
  RestoreError,
  type VirtioDevice,
} from "@virtio-ts/virtio-device";
import {
  CONFIG_MAC,
  CONFIG_MTU,
  CONFIG_SIZE,
  CONFIG_STATUS,
  consistentFeatures,
  featuresConsistent,
  HDR_SIZE,
  HDR_SIZE_LEGACY,
  MTU_MAX,
  MTU_MIN,
  pairOfQueue,
  receiveOffloads,
  STATUS_LINK_UP,
  transmitOffloads,
  VIRTIO_NET_F_CSUM,
  VIRTIO_NET_F_GUEST_CSUM,
  VIRTIO_NET_F_GUEST_TSO4,
  VIRTIO_NET_F_GUEST_TSO6,
  VIRTIO_NET_F_HOST_TSO4,
  VIRTIO_NET_F_HOST_TSO6,
  VIRTIO_NET_F_MAC,
  VIRTIO_NET_F_MRG_RXBUF,
  VIRTIO_NET_F_MTU,
  VIRTIO_NET_F_STATUS,
} from "../layout/index.ts";
import { type NetCounters, netCounters } from "./counters.ts";
import { NetConfigError } from "./errors.ts";
import { QueuePair } from "./queue-pair.ts";
import { type NetDeviceState, parseNetState } from "./saved-state.ts";

/** All features of the network device that are implemented. */
export const NET_FEATURES: bigint = feature(
  VIRTIO_NET_F_CSUM,
  VIRTIO_NET_F_GUEST_CSUM,
  VIRTIO_NET_F_MTU,
  VIRTIO_NET_F_MAC,
  VIRTIO_NET_F_GUEST_TSO4,
  VIRTIO_NET_F_GUEST_TSO6,
  VIRTIO_NET_F_HOST_TSO4,
  VIRTIO_NET_F_HOST_TSO6,
  VIRTIO_NET_F_MRG_RXBUF,
  VIRTIO_NET_F_STATUS,
);

/** Options of a {@link NetDevice}. */
export interface NetDeviceOptions {
  /**
   * The MAC address: a Uint8Array of 6 bytes, not text, not a multicast address. A random, locally administered one by
   * default.
   */
  readonly mac?: Uint8Array;
  /** Largest IP packet, bytes: 68 to 65535; 1500 by default. */
  readonly mtu?: number;
  /** Entries of each queue: a power of two; 256 by default. */
  readonly queueSize?: number;
  /**
   * When the frames announced by a kick are sent. `at-once`, the default, sends them with each kick. `gathered` sends
   * those of the first kicks in a turn of the event loop at once, and those of later ones together in a later turn. It
   * is for a guest that runs in turns of the same event loop: one that sends much is interrupted, and leaves its code,
   * once a turn instead of once a frame.
   */
  readonly transmit?: "at-once" | "gathered";
  /** Features to offer, of {@link NET_FEATURES}; those with unmet dependencies are left out. All by default. */
  readonly features?: bigint;
}

/** A NIC. It is one end of a link: `connect(nic, backend)` connects it to the other. */
export class NetDevice implements VirtioDevice, NetBackend {
  readonly deviceType: number = VIRTIO_ID_NET;
  readonly queueMaxSizes: readonly number[];
  readonly features: bigint;
  readonly configSize: number = CONFIG_SIZE;
  /** Counters, live. */
  readonly counters: NetCounters = netCounters();
  readonly #config = new ConfigSpace(CONFIG_SIZE, [[CONFIG_MAC, 6]]);
  /** The MAC address of its options. */
  #ownMac: Uint8Array;
  #context: ActivationContext | null = null;
  readonly #pairs: readonly QueuePair[];
  #peer: NetPort | null = null;
  /** Its own switch, and whether a link is connected and up: the driver sees a carrier when both are on. */
  #switch = true;
  #cable = false;
  /** The {@link carrier} that a restored driver saw last; `null` once it was compared. */
  #carrierSeen: boolean | null = null;
  #accepts = OFFLOAD_ALL;
  readonly #gathers: boolean;

  /** @throws NetConfigError if an option is out of range */
  constructor(options: NetDeviceOptions = {}) {
    const mac = options.mac ?? randomMac();
    if (!(mac instanceof Uint8Array) || mac.length !== 6 || (mac[0] & 1) !== 0) {
      const given = typeof mac === "string" ? JSON.stringify(mac) : `[${String(mac)}]`;
      throw new NetConfigError(
        "mac",
        `mac is ${given}: expected a Uint8Array of 6 bytes, the first of them even (unicast)`,
      );
    }
    const mtu = options.mtu ?? 1500;
    if (!Number.isInteger(mtu) || mtu < MTU_MIN || mtu > MTU_MAX) {
      throw new NetConfigError("mtu", `MTU ${mtu} is not in ${MTU_MIN}..${MTU_MAX}`);
    }
    const size = options.queueSize ?? 256;
    if (!Number.isInteger(size) || size < 2 || size > 32768 || (size & (size - 1)) !== 0) {
      throw new NetConfigError("queue-size", `queue size ${size} is no power of two in 2..32768`);
    }
    this.queueMaxSizes = [size, size];
    this.#pairs = [new QueuePair(this, this.counters)];
    this.#gathers = options.transmit === "gathered";
    this.features = consistentFeatures((options.features ?? NET_FEATURES) & NET_FEATURES);
    this.#ownMac = Uint8Array.from(mac);
    this.#config.bytes.set(mac, CONFIG_MAC);
    this.#config.view.setUint16(CONFIG_MTU, mtu, true);
  }

  /** The address in the configuration; a legacy driver may change it. */
  get mac(): Uint8Array {
    return this.#config.bytes.slice(CONFIG_MAC, CONFIG_MAC + 6);
  }

  /** The largest IP packet, bytes. */
  get mtu(): number {
    return this.#config.view.getUint16(CONFIG_MTU, true);
  }

  /** The NIC's own switch. Off, the driver sees no carrier, as if no link were connected. Initially on. */
  get linkUp(): boolean {
    return this.#switch;
  }

  set linkUp(up: boolean) {
    if (up === this.#switch) return;
    this.#switch = up;
    this.#follow();
    // Frames that wait on either side continue: they pass, or count as lost.
    this.resume();
    this.resumePeer();
  }

  /**
   * Whether frames pass: the switch is on, and a link is connected and up. The driver sees it in `status` (5.1.4), and
   * is notified of changes.
   */
  get carrier(): boolean {
    return (this.#config.bytes[CONFIG_STATUS] & STATUS_LINK_UP) !== 0;
  }

  /** The port that transmitted frames go to now. */
  get peer(): NetPort | null {
    return this.carrier ? this.#peer : null;
  }

  // -- the device trait

  acceptsFeatures(features: bigint): boolean {
    return featuresConsistent(features);
  }

  readConfig(offset: number, data: Uint8Array): ConfigError | null {
    return this.#config.read(offset, data);
  }

  writeConfig(offset: number, data: Uint8Array, legacy: boolean): ConfigError | null {
    // 5.1.4.1: a legacy driver may write the MAC address; all else is read-only.
    return legacy ? this.#config.write(offset, data) : null;
  }

  activate(context: ActivationContext): void {
    this.#context = context;
    if (this.#carrierSeen === null) return;
    context.scheduler.defer(() => {
      // Deferred, so that the whole machine is restored first.
      const seen = this.#carrierSeen;
      this.#carrierSeen = null;
      if (seen !== this.carrier) context.configChanged();
    });
  }

  startQueue(active: ActiveQueue): void {
    const context = this.#context;
    if (context === null) return;
    const mergeable = context.has(VIRTIO_NET_F_MRG_RXBUF);
    const headerSize = context.has(VIRTIO_F_VERSION_1) || mergeable ? HDR_SIZE : HDR_SIZE_LEGACY;
    // A legacy driver cannot be refused: features with unmet dependencies are dropped from its choice.
    const features = consistentFeatures(context.features);
    this.#accepts = receiveOffloads(features);
    const checksums = (this.#accepts & OFFLOAD_CSUM) !== 0;
    const mtu = context.has(VIRTIO_NET_F_MTU) ? this.mtu : Number.POSITIVE_INFINITY;
    this.#pairOf(active.index).start(context, active, {
      receive: { headerSize, mergeable, checksums, mtu },
      transmit: { headerSize, offloads: transmitOffloads(features), mtu: this.mtu, gathers: this.#gathers },
    });
  }

  stopQueue(index: number): void {
    this.#pairOf(index).stop(index);
  }

  queueNotify(index: number): void {
    this.#pairOf(index).notified(index);
  }

  reset(): void {
    this.#context = null;
    this.#carrierSeen = null;
    this.#accepts = OFFLOAD_ALL;
    // A legacy driver's address ends with it; the next driver reads the machine's.
    this.#config.bytes.set(this.#ownMac, CONFIG_MAC);
    for (const pair of this.#pairs) pair.reset();
  }

  remove(): void {
    this.detach();
  }

  save(): NetDeviceState {
    for (const pair of this.#pairs) pair.publish();
    return {
      version: 1,
      mac: [...this.mac],
      ownMac: [...this.#ownMac],
      mtu: this.mtu,
      linkUp: this.linkUp,
      carrier: this.#carrierSeen ?? this.carrier,
    };
  }

  restore(state: unknown): void {
    const { mac, ownMac, mtu, linkUp, carrier } = parseNetState(state);
    if (mtu !== this.mtu) throw new RestoreError("mismatch", `saved with MTU ${mtu}, this device has ${this.mtu}`);
    this.#ownMac = Uint8Array.from(ownMac);
    this.#config.bytes.set(mac, CONFIG_MAC);
    this.#switch = linkUp;
    this.#follow();
    this.#carrierSeen = carrier;
  }

  // -- its end of the link

  /** Offloads of the frames that the driver takes; all while there is no driver, because frames are then dropped. */
  get accepts(): number {
    return this.#accepts;
  }

  take(burst: FrameBurst, first: number): number {
    if (!this.carrier) {
      this.counters.dropped.rxNotReady += burst.count - first;
      return burst.count;
    }
    const pair = this.#pairs[0]; // one pair: no steering
    if (!this.#context?.resting) return pair.take(burst, first);
    pair.keep();
    return first;
  }

  /** The link has room again, or the device resumes after a suspension: sends the available frames. */
  resume(): void {
    for (const pair of this.#pairs) pair.transmit();
  }

  /** Tells the peer to try again. Called by the queues. */
  resumePeer(): void {
    this.#peer?.resume();
  }

  attach(peer: NetPort): void {
    this.#peer = peer;
    this.linkChanged(true);
    this.resume();
  }

  detach(): void {
    this.#peer = null;
    this.linkChanged(false);
    this.resume();
  }

  linkChanged(up: boolean): void {
    this.#cable = up;
    this.#follow();
  }

  /** Shows the driver whether there is a carrier. */
  #follow(): void {
    const carrier = this.#switch && this.#cable;
    if (carrier === this.carrier) return;
    this.#config.view.setUint16(CONFIG_STATUS, carrier ? STATUS_LINK_UP : 0, true);
    this.#context?.configChanged();
  }

  #pairOf(index: number): QueuePair {
    return this.#pairs[pairOfQueue(index)];
  }
}

/** A random, locally administered unicast address. */
function randomMac(): Uint8Array {
  const mac = Uint8Array.from({ length: 6 }, () => Math.floor(Math.random() * 256));
  mac[0] = (mac[0] & 0xfe) | 2;
  return mac;
}
