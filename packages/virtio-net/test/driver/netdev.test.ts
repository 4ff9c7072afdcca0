/** uknetdev's `uk_netdev_ops` as an interface: users of a network device need not know which driver it has. */
import { expect, it } from "vitest";
import {
  NETDEV_CONFIGURED,
  NETDEV_RUNNING,
  NETDEV_STATUS_SUCCESS,
  NETDEV_UNCONFIGURED,
  NETDEV_UNPROBED,
  NetbufPool,
  NetDriver,
  type Netdev,
  type NetdevInfo,
  NetdevList,
  type NetdevQueueInfo,
  type NetdevState,
  netdevSuccessful,
  type RxQueue,
  type RxQueueOptions,
  type TxQueue,
  type TxQueueOptions,
} from "../../src/index.ts";
import { frame } from "../support/nic.ts";
import { setupLoop } from "./support/loop.ts";

/** A network device without a NIC: what is sent is received, in the same buffer. It has no optional operation. */
class Loopback implements Netdev {
  state: NetdevState = NETDEV_UNPROBED;
  readonly mtu = 1500;
  readonly promiscuous = false;
  /** Packets on their way. */
  readonly #packets: number[] = [];

  async probe(): Promise<void> {
    this.state = NETDEV_UNCONFIGURED;
  }

  configure(): void {
    this.state = NETDEV_CONFIGURED;
  }

  rxqInfo(): NetdevQueueInfo {
    return { min: 1, max: 100, powerOfTwo: false };
  }

  txqInfo(): NetdevQueueInfo {
    return { min: 1, max: 100, powerOfTwo: false };
  }

  rxqConfigure(id: number, size: number, { pool }: RxQueueOptions): RxQueue {
    const packets = this.#packets;
    return {
      ...{ id, size, pool, packet: -1, allocateError: null },
      counters: { packets: 0, bytes: 0, gso: 0, underruns: 0, events: 0, badLength: 0, badBuffers: 0, badHeader: 0 },
      rxOne() {
        const packet = packets.shift();
        if (packet === undefined) return 0;
        Object.assign(this, { packet });
        return NETDEV_STATUS_SUCCESS;
      },
      rxBurst: () => 0,
      interruptEnable: () => 0,
      interruptDisable: () => {},
    };
  }

  txqConfigure(id: number, size: number, { pool }: TxQueueOptions): TxQueue {
    return {
      ...{ id, size, pool },
      counters: { packets: 0, bytes: 0, gso: 0, full: 0, refused: 0 },
      txOne: (packet) => {
        this.#packets.push(packet);
        return NETDEV_STATUS_SUCCESS;
      },
      txBurst: () => 0,
      reclaim: () => 0,
    };
  }

  async start(): Promise<void> {
    this.state = NETDEV_RUNNING;
  }

  info(): NetdevInfo {
    const none = { txHeadroom: 0, rxHeadroom: 0, rxInterrupts: false, txOffloads: 0, rxOffloads: 0 };
    return { maxRxQueues: 1, maxTxQueues: 1, maxMtu: 1500, minMtu: 68, alignment: 1, ...none };
  }
}

/** A user of network devices: sends a frame, and returns what comes. */
async function sendOne(netdev: Netdev, pool: NetbufPool, bytes: Uint8Array): Promise<Uint8Array | null> {
  await netdev.probe();
  netdev.configure(1, 1);
  const txq = netdev.txqConfigure(0, 0, { pool });
  const rxq = netdev.rxqConfigure(0, 0, { pool, allocate: pool.allocateInto });
  await netdev.start();
  const packet = pool.allocate();
  pool.write(packet, bytes);
  if (!netdevSuccessful(txq.txOne(packet)) || !netdevSuccessful(rxq.rxOne())) return null;
  const received = pool.read(rxq.packet);
  pool.release(rxq.packet);
  return received;
}

it("a user of one network device uses another driver's as well", async () => {
  const { transport, host } = await setupLoop({ asleep: true });
  const pool = new NetbufPool(host, { count: 512 });
  const list = new NetdevList();
  list.register(new NetDriver(transport, host));
  list.register(new Loopback());
  for (let id = 0; id < list.count; id++) {
    expect(await sendOne(list.get(id)!, pool, frame(60 + id))).toEqual(frame(60 + id));
  }
});

it("what a driver leaves out of the optional operations, its user sees", async () => {
  const { driver } = await setupLoop();
  const optional = (netdev: Netdev) => [netdev.hwaddr, netdev.setHwaddr, netdev.setMtu, netdev.setPromiscuous];
  expect(optional(new Loopback()).map((operation) => operation !== undefined)).toEqual([false, false, false, false]);
  expect(optional(driver).map((operation) => operation !== undefined)).toEqual([true, true, true, true]);
});
