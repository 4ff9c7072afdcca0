/**
 * The network device: VIRTIO 1.4, 5.1. One receive queue, one transmit queue, and a link to whatever its
 * frames go to. For authors of machines.
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

/** Every feature of the network device that is built. */
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

/** What a {@link NetDevice} is made with. */
export interface NetDeviceOptions {
  /** Its address: 6 bytes, not text, not a multicast address. A random, locally administered one by default. */
  readonly mac?: Uint8Array;
  /** Largest IP packet, bytes: 68 to 65535; 1500 by default. */
  readonly mtu?: number;
  /** Entries of each queue: a power of two; 256 by default. */
  readonly queueSize?: number;
  /**
   * When frames that the driver announces by a kick are sent: `at-once`, the default; or `gathered`: those of the
   * first kick in a turn of the event loop at once, those of further ones together in a later turn. That is for
   * machines whose guest runs in turns of the same event loop: a guest that sends a lot is interrupted, and leaves its
   * code, once a turn instead of once a frame.
   */
  readonly transmit?: "at-once" | "gathered";
  /** Features to offer, of {@link NET_FEATURES}; those whose needs are not met are left out. All by default. */
  readonly features?: bigint;
}

/** A NIC. It is one end of a link: `connect(nic, backend)` joins it to the other. */
export class NetDevice implements VirtioDevice, NetBackend {
  readonly deviceType: number = VIRTIO_ID_NET;
  readonly queueMaxSizes: readonly number[];
  readonly features: bigint;
  readonly configSize: number = CONFIG_SIZE;
  /** Counters, live. */
  readonly counters: NetCounters = netCounters();
  readonly #config = new ConfigSpace(CONFIG_SIZE, [[CONFIG_MAC, 6]]);
  /** The address it was made with. */
  #ownMac: Uint8Array;
  #context: ActivationContext | null = null;
  readonly #pairs: readonly QueuePair[];
  #peer: NetPort | null = null;
  /** Its own switch, and whether there is a link and that is up: the driver sees a carrier when both are on. */
  #switch = true;
  #cable = false;
  /** What a driver that was restored saw of {@link carrier}, and did not see change. */
  #carrierSeen: boolean | null = null;
  #accepts = OFFLOAD_ALL;
  readonly #gathers: boolean;

  /** @throws NetConfigError where an option is out of its range */
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

  /** The NIC's own switch: off, it is as if nothing was connected. On at first. */
  get linkUp(): boolean {
    return this.#switch;
  }

  set linkUp(up: boolean) {
    if (up === this.#switch) return;
    this.#switch = up;
    this.#follow();
    // What waits on either side goes on: through, or to the counter of lost frames.
    this.resume();
    this.resumePeer();
  }

  /**
   * Whether frames pass: the switch is on, a link is connected, and that is up. It is what the driver sees in `status`
   * (5.1.4), and is told of when it changes.
   */
  get carrier(): boolean {
    return (this.#config.bytes[CONFIG_STATUS] & STATUS_LINK_UP) !== 0;
  }

  /** Where transmitted frames go now. */
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
    // 5.1.4.1: for a legacy driver the MAC is writable, for others all is read-only.
    return legacy ? this.#config.write(offset, data) : null;
  }

  activate(context: ActivationContext): void {
    this.#context = context;
    if (this.#carrierSeen === null) return;
    context.scheduler.defer(() => {
      // Now that all of the machine is restored.
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
    // A legacy driver's choice is not refused where it contradicts itself: it gets what is left of it.
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
    // What a legacy driver made of the address is its own; the next driver finds the machine's.
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

  /** The offloads of frames the driver takes; all while there is no driver, for then they are dropped. */
  get accepts(): number {
    return this.#accepts;
  }

  take(burst: FrameBurst, first: number): number {
    if (!this.carrier) {
      this.counters.dropped.rxNotReady += burst.count - first;
      return burst.count;
    }
    const pair = this.#pairs[0]; // one pair: there is nothing to steer
    if (!this.#context?.resting) return pair.take(burst, first);
    pair.keep();
    return first;
  }

  /** The link has room again, or the device goes on after a suspension: what there is to send is sent. */
  resume(): void {
    for (const pair of this.#pairs) pair.transmit();
  }

  /** Whoever sends frames is to try again: for its queues. */
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

  /** Lets the driver see whether there is a carrier. */
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
