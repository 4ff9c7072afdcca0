/** QEMU's NIC in the hands of our NIC driver, frames both ways through a real `-netdev`. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { listenStream, type StreamBackend } from "@virtio-ts/net-backends/node";
import {
  feature,
  VIRTIO_F_EVENT_IDX,
  VIRTIO_F_RING_PACKED,
  VIRTIO_F_VERSION_1,
  VIRTIO_ID_NET,
} from "@virtio-ts/virtio-bindings";
import {
  NETDEV_STATUS_SUCCESS,
  NetbufPool,
  NetDriver,
  PacketBurst,
  type RxQueue,
  type TxQueue,
} from "@virtio-ts/virtio-net/driver";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { hasPeers } from "../src/peers.ts";
import { BOARDS } from "../src/qemu/boards.ts";
import { findDevice } from "../src/qemu/finders.ts";
import { QemuMachine } from "../src/qemu/machine.ts";
import { NumberedPort, numbered } from "./support/frames.ts";
import { until } from "./support/until.ts";
import { WAYS, type Way } from "./support/ways.ts";

const FRAMES = 10_000;
const NIC_MAC = Uint8Array.of(0x52, 0x54, 0, 0x12, 0x34, 0x56);
const FAR_MAC = Uint8Array.of(0x52, 0x54, 0, 0, 0, 1);
const POOL = { count: 512, capacity: 1526 };

/** Of these features the NIC has just those that belong to the way. */
const TOLD_BY_WAY = feature(VIRTIO_F_VERSION_1, VIRTIO_F_EVENT_IDX, VIRTIO_F_RING_PACKED);

function featuresOf({ legacy, packed }: Way): bigint {
  const ring = feature(VIRTIO_F_EVENT_IDX, ...(packed ? [VIRTIO_F_RING_PACKED] : []));
  return legacy ? ring : ring | feature(VIRTIO_F_VERSION_1);
}

let folder = "";
let machine: QemuMachine | undefined;
let network: StreamBackend | undefined;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "nic-"));
});
afterEach(async () => {
  await machine?.close();
  await network?.close();
  machine = undefined;
  network = undefined;
  rmSync(folder, { recursive: true });
});

/** Sends `count` frames from number `from` on, waiting for room. */
async function transmit(txq: TxQueue, from: number, count: number): Promise<void> {
  const burst = new PacketBurst(64);
  const { pool } = txq;
  for (let sent = 0; sent < count; ) {
    await until(machine!.host, () => {
      txq.reclaim();
      return pool.available >= 64;
    });
    burst.clear();
    for (let i = sent; i < Math.min(count, sent + 64); i++) {
      const packet = pool.allocate();
      pool.write(packet, numbered(from + i, FAR_MAC, NIC_MAC));
      burst.add(packet);
    }
    await until(machine!.host, () => {
      expect(txq.txBurst(burst)).toBeGreaterThanOrEqual(0);
      return burst.next === burst.count;
    });
    sent += burst.count;
  }
}

/** Receives what is there, and checks it. @returns the number of the next frame */
function receive(rxq: RxQueue, burst: PacketBurst, from: number): number {
  let next = from;
  while ((rxq.rxBurst(burst) & NETDEV_STATUS_SUCCESS) !== 0) {
    for (let i = 0; i < burst.count; i++) {
      const frame = rxq.pool.read(burst.packets[i]);
      rxq.pool.release(burst.packets[i]);
      if (Buffer.compare(frame, numbered(next, NIC_MAC, FAR_MAC)) !== 0) {
        throw new Error(`frame ${next}: ${Buffer.from(frame).toString("hex")}`);
      }
      next++;
    }
  }
  return next;
}

describe.each(Object.entries(WAYS))("over %s", (_, way) => {
  test.runIf(hasPeers(BOARDS[way.board].program))(
    "10,000 frames go out and come in, before and after a restart",
    { timeout: 30_000 },
    async () => {
      const path = join(folder, "net");
      network = await listenStream({ path });
      machine = await QemuMachine.start(way.board, [
        ...way.options,
        ...["-netdev", `stream,id=net,server=off,addr.type=unix,addr.path=${path}`],
        ...["-device", `${way.device("virtio-net")},netdev=net`],
      ]);
      const { host } = machine;
      const far = new NumberedPort(network, FAR_MAC, NIC_MAC);
      network.attach(far);

      const nic = new NetDriver(findDevice(machine, VIRTIO_ID_NET, way.pci), host);
      await nic.probe();
      expect(Buffer.from(nic.hwaddr).toString("hex")).toBe("525400123456");
      expect(nic.einfo().features & TOLD_BY_WAY).toBe(featuresOf(way));
      nic.configure(1, 1);
      let events = 0;
      const rxPool = new NetbufPool(host, POOL);
      const txPool = new NetbufPool(host, POOL);
      const onEvent = (): void => void events++;
      const rxq = nic.rxqConfigure(0, 0, { pool: rxPool, allocate: rxPool.allocateInto, onEvent });
      const txq = nic.txqConfigure(0, 0, { pool: txPool });

      const burst = new PacketBurst(64);
      for (const round of [1, 2]) {
        await nic.start();
        await transmit(txq, (round - 1) * FRAMES, FRAMES);
        await until(host, () => {
          txq.reclaim(); // also wakes a NIC that waits for what it has had: QEMU's, on a packed ring, now and then
          return far.received >= round * FRAMES || far.problem !== null;
        });
        expect(far.problem).toBeNull();

        let next = (round - 1) * FRAMES;
        rxq.interruptEnable();
        far.send(round * FRAMES);
        await until(host, () => {
          if (events > 0) next = receive(rxq, burst, next);
          return next === round * FRAMES;
        });
        rxq.interruptDisable();
        await nic.stop();
        expect([rxPool.available, txPool.available]).toEqual([POOL.count, POOL.count]);
      }
      expect([far.received, events > 0, host.counters[way.interrupts] > 0]).toEqual([2 * FRAMES, true, true]);
      await nic.destroy();
      rxPool.destroy();
      txPool.destroy();
      expect(host.dma.allocated).toBe(0);
    },
  );
});
