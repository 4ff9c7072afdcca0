/** Our driver against our device, in one process: every frame that goes out comes back in, as it was. */
import { checksumAdd, checksumFold, connect } from "@virtio-ts/net-link";
import { feature, VIRTIO_F_EVENT_IDX, VIRTIO_F_IN_ORDER, VIRTIO_F_RING_PACKED } from "@virtio-ts/virtio-bindings";
import { DEFAULT_RING_FEATURES } from "@virtio-ts/virtio-device";
import { describe, expect, it } from "vitest";
import { NetDriver } from "../../src/index.ts";
import { DriverRig } from "../../src/testing/index.ts";
import { frame, TestBackend } from "../support/nic.ts";
import { setupLoop } from "./support/loop.ts";
import { packetOf } from "./support/strict.ts";

const EVENT_IDX = feature(VIRTIO_F_EVENT_IDX);
const IN_ORDER = feature(VIRTIO_F_IN_ORDER);
const PACKED = feature(VIRTIO_F_RING_PACKED);
const LENGTHS = [60, 1514, 64, 577, 1513, 128, 61, 1000];

describe("100,000 frames each way, content checked", () => {
  it.each([
    ["a split ring", DEFAULT_RING_FEATURES],
    ["a packed ring", DEFAULT_RING_FEATURES | PACKED],
  ])("over %s", { timeout: 60_000 }, async (_, ringFeatures) => {
    const s = await setupLoop({ ringFeatures });
    s.rig.loopChecked(100_000, LENGTHS);
    expect([s.rig.txqs[0].counters.packets, s.rig.rxqs[0].counters.packets]).toEqual([100_000, 100_000]);
    expect(s.rig.txqs[0].counters.bytes).toBe(s.rig.rxqs[0].counters.bytes);
    expect([s.nic.counters.tx.frames, s.nic.counters.rx.frames]).toEqual([100_000, 100_000]);
    expect(Object.values(s.nic.counters.dropped).every((count) => count === 0)).toBe(true);
    await s.rig.end();
    expect(s.host.dma.allocated).toBe(0);
  });
});

describe("5,000 frames each way, content checked", () => {
  it.each([
    ["without event idx", { ringFeatures: DEFAULT_RING_FEATURES & ~EVENT_IDX }],
    ["packed without event idx", { ringFeatures: (DEFAULT_RING_FEATURES & ~EVENT_IDX) | PACKED }],
    ["in order", { ringFeatures: DEFAULT_RING_FEATURES | IN_ORDER }],
    ["packed in order", { ringFeatures: DEFAULT_RING_FEATURES | IN_ORDER | PACKED }],
    ["legacy", { legacy: true }],
    ["legacy without ANY_LAYOUT", { legacy: true, without: feature(27) }],
    ["legacy without mergeable buffers", { legacy: true, without: feature(15) }],
    ["without mergeable buffers", { without: feature(15) }],
    ["in small merged buffers", { capacity: 200 }],
    ["in rings of 8", { nic: { queueSize: 8 } }],
    ["in rings of 8 of 256", { entries: 8 }],
    ["in bursts of one", { burst: 1 }],
  ])("%s", async (_, options) => {
    const s = await setupLoop(options);
    s.rig.loopChecked(5000, LENGTHS);
    expect(s.rig.rxqs[0].counters).toMatchObject({ packets: 5000, badBuffers: 0, badHeader: 0, badLength: 0 });
    await s.rig.end();
    expect(s.host.dma.allocated).toBe(0);
  });
});

describe("a restart", () => {
  it("in the middle of traffic, twenty times", async () => {
    const s = await setupLoop();
    for (let i = 0; i < 20; i++) {
      for (let k = 0; k < 50; k++) s.rig.txqs[0].txOne(packetOf(s.pool, frame(60)));
      await s.driver.stop();
      expect(s.pool.available).toBe(1024);
      await s.driver.start();
      s.rig.loopChecked(100, LENGTHS);
    }
    await s.rig.end();
  });

  it("after the device was reset behind the driver's back", async () => {
    const s = await setupLoop();
    s.core.reset();
    const packet = packetOf(s.pool, frame(60));
    expect(s.rig.txqs[0].txOne(packet)).toBe(3);
    expect(s.rig.rxqs[0].rxOne()).toBe(0);
    await s.driver.stop();
    expect(s.pool.available).toBe(1024);
    await s.driver.start();
    s.rig.loopChecked(1000, LENGTHS);
    await s.rig.end();
  });

  it("after the device failed, which the driver hears of", async () => {
    const failures: string[] = [];
    const s = await setupLoop({ onFailure: ({ code }) => void failures.push(code) });
    s.memory.writeU16(s.core.queues[1].address(1) + 2, 0x7fff);
    s.core.notify(1);
    expect(failures).toEqual(["needs-reset"]);
    expect(s.rig.rxqs[0].rxOne()).toBe(-5);
    await s.driver.stop();
    await s.driver.start();
    s.rig.loopChecked(1000, LENGTHS);
    await s.rig.end();
  });
});

it("a driver that dies and comes back finds the device as it should be", async () => {
  const s = await setupLoop();
  s.rig.loopChecked(1000, LENGTHS);
  // It is gone without a word, and so is its memory: the next one knows nothing of it.
  const again = await new DriverRig(s.transport, s.host, { buffers: 512 }).start();
  again.loopChecked(1000, LENGTHS);
  await again.end();
  expect(s.core.counters.faults).toBe(0);
});

it("the link goes down and up in the middle of traffic", async () => {
  const links: boolean[] = [];
  const s = await setupLoop({ onLink: (up) => links.push(up) });
  for (let i = 0; i < 10; i++) {
    s.rig.loopChecked(100, LENGTHS);
    s.nic.linkUp = false;
    s.rig.txqs[0].txOne(packetOf(s.pool, frame(60)));
    s.nic.linkUp = true;
  }
  expect(links).toEqual(Array.from({ length: 20 }, (_, i) => i % 2 === 1));
  expect(s.nic.counters.dropped.txNoLink).toBe(10);
  await s.rig.end();
});

describe("offloads, both ways", () => {
  it("a partial checksum is filled in by who takes the frame [net.driver.packet-transmission.20]", async () => {
    const s = await setupLoop();
    const backend = new TestBackend();
    backend.accepts = 0;
    connect(s.nic, backend);
    const bytes = frame(100);
    const packet = packetOf(s.pool, bytes);
    s.pool.flags[packet] = 1;
    s.pool.csumStart[packet] = 34;
    s.pool.csumOffset[packet] = 6;
    expect(s.rig.txqs[0].txOne(packet)).toBe(3);
    const expected = checksumFold(checksumAdd(0, bytes, 34, 66)) || 0xffff;
    const [seen] = backend.frames;
    expect((seen.bytes[40] << 8) | seen.bytes[41]).toBe(expected);
    bytes.set([expected >> 8, expected & 0xff], 40);
    expect(seen.bytes).toEqual(bytes);
  });

  it("a frame of 64 KiB goes out and comes back unsegmented, with its header's fields", async () => {
    const s = await setupLoop({ buffers: 600 });
    const bytes = frame(60_000);
    const parts = Array.from({ length: 40 }, (_, i) => packetOf(s.pool, bytes.subarray(1500 * i, 1500 * (i + 1))));
    parts.forEach((part, i) => {
      s.pool.next[part] = parts[i + 1] ?? -1;
    });
    const [packet] = parts;
    s.pool.flags[packet] = 1;
    s.pool.gsoType[packet] = 1;
    s.pool.gsoSize[packet] = 1448;
    s.pool.hdrLen[packet] = 66;
    s.pool.csumStart[packet] = 34;
    s.pool.csumOffset[packet] = 16;
    expect(s.rig.txqs[0].txOne(packet)).toBe(3);
    const [rxq] = s.rig.rxqs;
    expect(rxq.rxOne()).toBe(1);
    expect(s.pool.read(rxq.packet)).toEqual(bytes);
    const { flags, gsoType, gsoSize, hdrLen, csumStart, csumOffset } = s.pool;
    expect([flags, gsoType, gsoSize, hdrLen, csumStart, csumOffset].map((field) => field[rxq.packet])).toEqual([
      1, 1, 1448, 66, 34, 16,
    ]);
    expect([s.nic.counters.tx.gso, s.nic.counters.rx.gso, rxq.counters.gso]).toEqual([1, 1, 1]);
    s.pool.release(rxq.packet);
    await s.rig.end();
  });
});

it("two drivers on two NICs, back to back, send to each other", async () => {
  const [a, b] = [await setupLoop(), await setupLoop()];
  connect(a.nic, b.nic);
  for (let i = 0; i < 1000; i++) {
    expect(a.rig.txqs[0].txOne(packetOf(a.pool, frame(60 + (i % 1000), i)))).toBe(3);
    expect(b.rig.rxqs[0].rxOne()).toBe(1);
    const { packet } = b.rig.rxqs[0];
    expect(b.pool.read(packet)).toEqual(frame(60 + (i % 1000), i));
    expect(b.rig.txqs[0].txOne(packet)).toBe(3);
    expect(a.rig.rxqs[0].rxOne()).toBe(1);
    a.pool.release(a.rig.rxqs[0].packet);
  }
  expect(a.driver).toBeInstanceOf(NetDriver);
  await Promise.all([a.rig.end(), b.rig.end()]);
});
