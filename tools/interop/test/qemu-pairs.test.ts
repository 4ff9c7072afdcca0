/** Two queue pairs of QEMU's NIC and its control queue, with Linux's own network at the far end of a TAP. */
import { execFileSync } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { VIRTIO_ID_NET } from "@virtio-ts/virtio-bindings";
import {
  NETDEV_STATUS_SUCCESS,
  NetbufPool,
  NetDriver,
  PacketBurst,
  type RxQueue,
  type TxQueue,
} from "@virtio-ts/virtio-net/driver";
import { afterEach, expect, test } from "vitest";
import { hasPeers, peer, peersRequired } from "../src/peers.ts";
import { findDevice } from "../src/qemu/finders.ts";
import { QemuMachine } from "../src/qemu/machine.ts";
import { answeredBy, type EchoPath, echoRequest } from "./support/echo.ts";
import { until } from "./support/until.ts";

const ECHOES = 10_000;
/** Requests without an answer at a time: fewer than any ring or queue on the way has room for. */
const WINDOW = 100;
const TAP = `vt${process.pid % 100_000}`;
const MAC = Uint8Array.of(0x52, 0x54, 0, 0xaa, 0xbb, 0xcc);
const HOST = [10, 199, 7, 1];

let machine: QemuMachine | undefined;
afterEach(() => machine?.close());

/** A host for the NIC to be: one flow, one pair. */
interface Flow {
  readonly path: EchoPath;
  readonly rxq: RxQueue;
  readonly txq: TxQueue;
  sent: number;
  /** Answers, in all and on the pair's own receive queue. */
  answered: number;
  own: number;
}

const possible = hasPeers("qemu-system-x86_64", "ip") && (peersRequired() || canMakeTap());

test.runIf(possible)(
  "two pairs carry 10,000 echoes each, answered on the pair they went out on",
  { timeout: 60_000 },
  async () => {
    const tap = `tap,id=net,ifname=${TAP},script=no,downscript=no,queues=2`;
    const device = `virtio-net-pci,netdev=net,mq=on,vectors=8,mac=${macText(MAC)}`;
    machine = await QemuMachine.start("q35", ["-netdev", tap, "-device", device]);
    const { host } = machine;
    const flows: Flow[] = [];
    const farMac = setUpHost(["10.199.7.2", "10.199.7.3"]);

    const nic = new NetDriver(findDevice(machine, VIRTIO_ID_NET), host);
    await nic.probe();
    expect([...nic.hwaddr]).toEqual([...MAC]);
    expect(nic.info().maxRxQueues).toBe(2);
    nic.configure(2, 2);
    const pools: NetbufPool[] = [];
    const events = [0, 0];
    for (const id of [0, 1]) {
      const [receive, transmit] = [new NetbufPool(host, { count: 512 }), new NetbufPool(host, { count: 512 })];
      pools.push(receive, transmit);
      const onEvent = (): void => void events[id]++;
      const rxq = nic.rxqConfigure(id, 0, { pool: receive, allocate: receive.allocateInto, onEvent });
      const txq = nic.txqConfigure(id, 0, { pool: transmit });
      const path = { mac: MAC, farMac, address: [10, 199, 7, 2 + id], farAddress: HOST };
      flows.push({ path, rxq, txq, sent: 0, answered: 0, own: 0 });
    }
    await nic.start();
    await nic.setPromiscuous(true); // a command on the control queue, which the NIC must acknowledge
    for (const { rxq } of flows) rxq.interruptEnable();
    await until(host, () => {
      for (const flow of flows) {
        sendSome(flow);
        receiveAll(flows, flow.rxq.id);
      }
      return flows.every(({ answered }) => answered === ECHOES);
    });
    for (const { answered, own } of flows) {
      expect(answered).toBe(ECHOES);
      expect(own).toBeGreaterThan(ECHOES / 2); // Linux steers a flow to the queue it came from, once it knows it
    }
    expect(events.every((count) => count > 0)).toBe(true);
    await nic.destroy();
    for (const pool of pools) pool.destroy();
    expect(host.dma.allocated).toBe(0);
  },
);

/** Sends requests of a flow, as many as may be on their way. */
function sendSome(flow: Flow): void {
  const { path, txq } = flow;
  txq.reclaim();
  const burst = new PacketBurst(WINDOW);
  while (flow.sent + burst.count < Math.min(ECHOES, flow.answered + WINDOW)) {
    const packet = txq.pool.allocate();
    txq.pool.write(packet, echoRequest(path, flow.sent + burst.count));
    burst.add(packet);
  }
  if (burst.count === 0) return;
  expect(txq.txBurst(burst)).toBeGreaterThanOrEqual(0);
  expect(burst.next).toBe(burst.count);
  flow.sent += burst.count;
}

/** Takes what a receive queue has, and counts each answer to the flow it belongs to. */
function receiveAll(flows: readonly Flow[], id: number): void {
  const { rxq } = flows[id];
  const burst = new PacketBurst(64);
  while ((rxq.rxBurst(burst) & NETDEV_STATUS_SUCCESS) !== 0) {
    for (let i = 0; i < burst.count; i++) {
      const frame = rxq.pool.read(burst.packets[i]);
      rxq.pool.release(burst.packets[i]);
      const flow = flows.find(({ path }) => answeredBy(path, frame) >= 0);
      if (flow === undefined) continue;
      flow.answered++;
      if (flow === flows[id]) flow.own++;
    }
  }
}

/** Gives Linux's end of the TAP an address, and tells it where ours are. @returns its hardware address */
function setUpHost(neighbours: readonly string[]): Uint8Array {
  const ip = (...args: string[]): string => execFileSync(peer("ip"), args, { encoding: "utf8" });
  ip("address", "add", `${HOST.join(".")}/24`, "dev", TAP);
  ip("link", "set", TAP, "up");
  for (const address of neighbours) ip("neighbour", "add", address, "lladdr", macText(MAC), "dev", TAP);
  const [link] = JSON.parse(ip("-json", "link", "show", TAP)) as [{ address: string }];
  return Uint8Array.from(link.address.split(":"), (byte) => Number.parseInt(byte, 16));
}

function macText(mac: Uint8Array): string {
  return [...mac].map((byte) => byte.toString(16).padStart(2, "0")).join(":");
}

/** Whether this process may make network interfaces. */
function canMakeTap(): boolean {
  try {
    accessSync("/dev/net/tun", constants.R_OK | constants.W_OK);
    return process.getuid?.() === 0;
  } catch {
    return false;
  }
}
