/** What the driver receives: VIRTIO 1.4, 5.1.6.3.1 and 5.1.6.4.2. */
import { DriverError } from "@virtio-ts/virtio-driver";
import { describe, expect, it } from "vitest";
import { NO_NETBUF, PacketBurst, type RxQueue } from "../../src/index.ts";
import { frame } from "../support/nic.ts";
import { headed, setupStrict } from "./support/strict.ts";
import { F } from "./support/strict-nic.ts";

const SUCCESS = 1;
const MORE = 2;
const UNDERRUN = 4;
const EINVAL = -22;

describe("a packet", () => {
  it("comes in behind its header, and is the caller's", async () => {
    const s = await setupStrict();
    const [rxq] = s.rxqs;
    expect([rxq.rxOne(), rxq.packet]).toEqual([0, NO_NETBUF]);
    s.device.deliver(0, headed({}, frame(60)));
    expect(rxq.rxOne()).toBe(SUCCESS);
    const { packet } = rxq;
    expect(s.pool.read(packet)).toEqual(frame(60));
    expect([s.pool.flags[packet], s.pool.gsoType[packet], s.pool.next[packet]]).toEqual([0, 0, NO_NETBUF]);
    expect([rxq.rxOne(), rxq.packet]).toEqual([0, NO_NETBUF]);
    expect(rxq.counters).toMatchObject({ packets: 1, bytes: 60 });
    expect(s.pool.available).toBe(64 - 16 - 1);
    expect(s.device.buffers(0).length).toBe(16);
  });

  it("has MORE behind it, but only with SUCCESS, while there are others", async () => {
    const s = await setupStrict();
    s.device.deliver(0, ...[1, 2, 3].map((seed) => headed({}, frame(60, seed))));
    const seen = Array.from({ length: 4 }, () => [s.rxqs[0].rxOne(), s.rxqs[0].packet === NO_NETBUF]);
    expect(seen).toEqual([
      [SUCCESS | MORE, false],
      [SUCCESS | MORE, false],
      [SUCCESS, false],
      [0, true],
    ]);
  });

  it("of a legacy device comes in behind a header of 10 bytes in a descriptor of its own", async () => {
    const s = await setupStrict({ legacy: true, without: 1n << 27n });
    s.device.deliver(0, headed({ size: 10 }, frame(60)));
    expect(s.rxqs[0].rxOne()).toBe(SUCCESS);
    expect(s.pool.read(s.rxqs[0].packet)).toEqual(frame(60));
    expect(s.device.buffers(0)).toEqual(new Array(8).fill(1546));
  });

  it("with HASH_REPORT comes with its hash, behind a header of 20 bytes [net.driver.setting-up-receive-buffers.4]", async () => {
    const s = await setupStrict({ device: { features: [F.CTRL_VQ, F.HASH_REPORT] } });
    const bytes = headed({ size: 20 }, frame(60));
    bytes.set([0xef, 0xbe, 0xad, 0xde, 3, 0], 12);
    s.device.deliver(0, bytes);
    expect(s.rxqs[0].rxOne()).toBe(SUCCESS);
    const { packet } = s.rxqs[0];
    expect([s.pool.hashValue[packet], s.pool.hashReport[packet]]).toEqual([0xdeadbeef, 3]);
    expect(s.pool.read(packet)).toEqual(frame(60));
  });
});

describe("a burst", () => {
  it("receives as many as there are, up to a limit", async () => {
    const s = await setupStrict();
    const burst = new PacketBurst();
    s.device.deliver(0, ...Array.from({ length: 10 }, (_, i) => headed({}, frame(60 + i))));
    expect([s.rxqs[0].rxBurst(burst, 4), burst.count, burst.next]).toEqual([SUCCESS | MORE, 4, 0]);
    expect([s.rxqs[0].rxBurst(burst), burst.count]).toEqual([SUCCESS, 6]);
    expect([...burst.packets.subarray(0, 6)].map((packet) => s.pool.lengths[packet])).toEqual([64, 65, 66, 67, 68, 69]);
    expect([s.rxqs[0].rxBurst(burst), burst.count]).toEqual([0, 0]);
  });
});

describe("a burst that can't be", () => {
  it("of no packets, or of a number that is none, is refused with EINVAL, and packets stay", async () => {
    const s = await setupStrict();
    s.device.deliver(0, headed({}, frame(60)));
    for (const max of [0, -1, Number.NaN]) expect(s.rxqs[0].rxBurst(new PacketBurst(), max)).toBe(EINVAL);
    expect(s.rxqs[0].rxBurst(new PacketBurst(0))).toBe(EINVAL);
    expect(s.rxqs[0].rxOne()).toBe(SUCCESS);
  });

  it("of more packets than it has room for receives no more than that", async () => {
    const s = await setupStrict();
    const burst = new PacketBurst(2);
    s.device.deliver(0, ...[1, 2, 3].map((seed) => headed({}, frame(60, seed))));
    expect([s.rxqs[0].rxBurst(burst, 100), burst.count]).toEqual([SUCCESS | MORE, 2]);
    for (const packet of burst.packets) s.pool.release(packet);
    expect([s.rxqs[0].rxBurst(burst, 100), burst.count]).toEqual([SUCCESS, 1]);
    s.pool.release(burst.packets[0]);
    expect(s.pool.available).toBe(64 - 16);
  });

  it.each(["rxOne", "rxBurst"] as const)(
    "from within %s of the same queue is refused, and costs that nothing",
    async (outer) => {
      const inner: number[] = [];
      const burst = new PacketBurst();
      const s = await setupStrict({
        ringFeatures: 1n << 32n,
        onLink: () => void inner.push(s.rxqs[0].rxOne(), s.rxqs[0].rxBurst(burst), s.rxqs[0].packet),
      });
      s.device.deliver(0, headed({}, frame(60)));
      const { notify } = s.transport;
      s.transport.notify = (index) => {
        s.transport.notify = notify;
        s.device.setStatus(0);
        notify.call(s.transport, index);
      };
      const status = outer === "rxOne" ? s.rxqs[0].rxOne() : s.rxqs[0].rxBurst(burst);
      const packet = outer === "rxOne" ? s.rxqs[0].packet : burst.packets[0];
      expect([status, inner]).toEqual([SUCCESS, [EINVAL, EINVAL, NO_NETBUF]]);
      expect(s.pool.read(packet)).toEqual(frame(60));
      expect(s.rxqs[0].rxOne()).toBe(0);
    },
  );
});

describe("mergeable buffers", () => {
  const device = { features: [F.MRG_RXBUF] };

  it("make one packet, in order [net.driver.setting-up-receive-buffers.3]", async () => {
    const s = await setupStrict({ device, capacity: 100, entries: 16 });
    expect(s.device.buffers(0)).toEqual(new Array(16).fill(112));
    const bytes = headed({ numBuffers: 3 }, frame(290));
    s.device.deliver(
      0,
      bytes.subarray(0, 112),
      bytes.subarray(112, 224),
      bytes.subarray(224),
      headed({}, frame(60, 2)),
    );
    expect(s.rxqs[0].rxOne()).toBe(SUCCESS | MORE);
    const { packet } = s.rxqs[0];
    expect(s.pool.packetLength(packet)).toBe(290);
    expect(s.pool.read(packet)).toEqual(frame(290));
    s.pool.release(packet);
    expect(s.rxqs[0].rxOne()).toBe(SUCCESS);
    expect(s.pool.read(s.rxqs[0].packet)).toEqual(frame(60, 2));
    expect(s.rxqs[0].counters).toMatchObject({ packets: 2, bytes: 350 });
  });

  it("too small for header and frame are refused", async () => {
    const s = await setupStrict({ device, capacity: 13, upTo: "configured", buffers: 512 });
    expect(() => s.driver.rxqConfigure(0, 16, { pool: s.pool, allocate: s.pool.allocateInto })).toThrow(DriverError);
  });
});

describe("receive buffers", () => {
  it("of at least 1526 bytes where one holds a packet [net.driver.setting-up-receive-buffers.2]", async () => {
    for (const [capacity, fits] of [
      [1513, false],
      [1514, true],
    ] as const) {
      const s = await setupStrict({ capacity, upTo: "configured" });
      const configure = () => s.driver.rxqConfigure(0, 16, { pool: s.pool, allocate: s.pool.allocateInto });
      if (!fits) {
        expect(configure).toThrow("16 buffers of 1525 bytes");
        continue;
      }
      configure();
      s.driver.txqConfigure(0, 16, { pool: s.pool });
      await s.driver.start();
      expect(s.device.buffers(0)).toEqual(new Array(16).fill(1526));
    }
  });

  it.each([
    [[F.MTU], 9013, 16, false],
    [[F.MTU], 9014, 16, true],
    [[F.MTU, F.MRG_RXBUF], 1492, 4, false],
    [[F.MTU, F.MRG_RXBUF], 1500, 8, true],
    [[F.MTU, F.MRG_RXBUF], 2048, 4, false],
    [[F.MTU, F.MRG_RXBUF], 2048, 8, true],
  ])(
    "hold a packet of mtu 9000: features %j, %i bytes, %i of them: %s [net.driver.device-configuration-layout.7]",
    async (features, capacity, entries, fits) => {
      const s = await setupStrict({ device: { features, config: { 10: [0x28, 0x23] } }, capacity, upTo: "configured" });
      const configure = () => s.driver.rxqConfigure(0, entries, { pool: s.pool, allocate: s.pool.allocateInto });
      if (fits) expect(configure().size).toBe(entries);
      else expect(configure).toThrow(DriverError);
    },
  );

  it("of 64 KiB are not needed: without merging no segmented packets are accepted [net.driver.setting-up-receive-buffers.1]", async () => {
    const all = [F.GUEST_CSUM, F.GUEST_TSO4, F.GUEST_TSO6, F.GUEST_ECN];
    const single = await setupStrict({ device: { features: all }, upTo: "unconfigured" });
    expect(single.driver.einfo().features & 0xffffn).toBe(1n << 1n);
    const merged = await setupStrict({ device: { features: [...all, F.MRG_RXBUF] }, upTo: "unconfigured" });
    expect(merged.driver.einfo().features & 0xffffn).toBe(0x8382n);
  });

  it("are in every receive queue that is used [net.driver.setting-up-receive-buffers.5]", async () => {
    const device = { features: [F.CTRL_VQ, F.MQ], pairs: 3 };
    const s = await setupStrict({ device, pairs: 2 });
    expect([0, 1, 2].map((pair) => s.device.buffers(pair).length)).toEqual([16, 16, 0]);
  });

  it("are asked for in batches of 64 at most, as many as there is room for", async () => {
    const s = await setupStrict({ device: { features: [], size: 256 }, buffers: 600, upTo: "configured" });
    const asked: number[] = [];
    const allocate = (into: Uint32Array, count: number): number => {
      asked.push(count);
      expect(into.length).toBeGreaterThanOrEqual(count);
      return s.pool.allocateInto(into, count);
    };
    const rxq = s.driver.rxqConfigure(0, 256, { pool: s.pool, allocate });
    s.driver.txqConfigure(0, 16, { pool: s.pool });
    expect(asked).toEqual([]);
    await s.driver.start();
    expect(asked).toEqual([64, 64, 64, 64]);
    s.device.deliver(0, ...Array.from({ length: 70 }, () => headed({}, frame(60))));
    asked.length = 0;
    rxq.rxBurst(new PacketBurst(70));
    expect(asked).toEqual([64, 6]);
  });

  it("of a legacy device, which take two entries each, are asked for by half", async () => {
    const s = await setupStrict({ legacy: true, without: 1n << 27n, upTo: "configured" });
    const asked: number[] = [];
    const allocate = (into: Uint32Array, count: number): number => {
      asked.push(count);
      return s.pool.allocateInto(into, count);
    };
    s.driver.rxqConfigure(0, 16, { pool: s.pool, allocate });
    s.driver.txqConfigure(0, 16, { pool: s.pool });
    await s.driver.start();
    expect(asked).toEqual([8]);
  });

  it("that can't be allocated are an UNDERRUN, and are made up for later", async () => {
    const s = await setupStrict({ buffers: 18 });
    const [rxq] = s.rxqs;
    s.device.deliver(0, ...Array.from({ length: 4 }, () => headed({}, frame(60))));
    const packets = [];
    const statuses = [];
    for (let i = 0; i < 4; i++) {
      statuses.push(rxq.rxOne());
      packets.push(rxq.packet);
    }
    expect(statuses).toEqual([SUCCESS | MORE, SUCCESS | MORE, SUCCESS | MORE | UNDERRUN, SUCCESS | UNDERRUN]);
    expect(rxq.rxOne()).toBe(UNDERRUN);
    expect(s.device.buffers(0).length).toBe(14);
    expect(rxq.counters.underruns).toBe(3);
    for (const packet of packets) s.pool.release(packet);
    expect(rxq.rxOne()).toBe(0);
    expect(s.device.buffers(0).length).toBe(16);
  });

  it("of an allocator that gives more than it was asked for are not used", async () => {
    const s = await setupStrict({ upTo: "configured" });
    const allocate = (into: Uint32Array, count: number): number => s.pool.allocateInto(into, count) + 1000;
    s.driver.rxqConfigure(0, 16, { pool: s.pool, allocate });
    s.driver.txqConfigure(0, 16, { pool: s.pool });
    await s.driver.start();
    expect(s.device.buffers(0).length).toBe(16);
  });
});

describe("interrupts", () => {
  const setup = async (onPacket: (queue: RxQueue) => void = () => {}) => {
    const events: number[] = [];
    const s = await setupStrict({
      onEvent: (queue) => {
        events.push(queue.id);
        onPacket(queue);
      },
    });
    return { s, rxq: s.rxqs[0], events, send: (seed = 1) => s.device.deliver(0, headed({}, frame(60, seed))) };
  };

  it("are off after start: nobody is told", async () => {
    const { rxq, events, send } = await setup();
    send();
    expect(events).toEqual([]);
    expect(rxq.rxOne()).toBe(SUCCESS);
  });

  it("tell of the first packet, once, and are off then", async () => {
    const { rxq, events, send } = await setup();
    expect(rxq.interruptEnable()).toBe(0);
    send();
    send();
    expect(events).toEqual([0]);
    expect([rxq.rxOne(), rxq.rxOne()]).toEqual([SUCCESS | MORE, SUCCESS]);
    expect(rxq.counters.events).toBe(1);
  });

  it("come on by themselves once the queue is drained", async () => {
    const { rxq, events, send } = await setup();
    rxq.interruptEnable();
    send();
    rxq.rxOne();
    send();
    expect(events).toEqual([0, 0]);
  });

  it("enabled with packets pending answer 1, and come on once they are received", async () => {
    const { rxq, events, send } = await setup();
    send();
    send();
    expect(rxq.interruptEnable()).toBe(1);
    send();
    expect(events).toEqual([]);
    expect([rxq.rxOne(), rxq.rxOne()]).toEqual([SUCCESS | MORE, SUCCESS | MORE]);
    send();
    expect(events).toEqual([]);
    expect([rxq.rxOne(), rxq.rxOne()]).toEqual([SUCCESS | MORE, SUCCESS]);
    send();
    expect(events).toEqual([0]);
  });

  it("are off, for the device to see, from an event until the queue is drained", async () => {
    const s = await setupStrict({ ringFeatures: 1n << 32n, onEvent: () => {} });
    const flags = (): number => s.memory.readU16(s.core.queues[0].address(1));
    expect([flags(), s.rxqs[0].interruptEnable(), flags()]).toEqual([1, 0, 0]);
    s.device.deliver(0, headed({}, frame(60)));
    expect([flags(), s.rxqs[0].rxOne(), flags()]).toEqual([1, SUCCESS, 0]);
    s.rxqs[0].interruptDisable();
    expect(flags()).toBe(1);
  });

  it.each([
    ["a packet that comes while they are enabled is to be received first", 1],
    ["a packet that comes while the queue is drained has MORE behind what was received", SUCCESS | MORE],
  ])("%s: %i", async (_, expected) => {
    const { s, rxq, events, send } = await setup();
    if (expected !== 1) {
      rxq.interruptEnable();
      send();
    }
    const event = s.core.queues[0].address(1) + 4 + 2 * 16; // used_event, which asks for interrupts
    s.memory.regions[0].tracker = {
      written: (offset) => {
        if (offset !== event) return;
        s.memory.regions[0].tracker = null;
        send(2);
      },
    };
    events.length = 0;
    expect(expected === 1 ? rxq.interruptEnable() : rxq.rxOne()).toBe(expected);
    expect(events).toEqual([]);
    expect(rxq.rxOne()).toBe(SUCCESS);
    expect(s.pool.read(rxq.packet)).toEqual(frame(60, 2));
  });

  it("while on, packets are not received: EINVAL", async () => {
    const { rxq } = await setup();
    expect([rxq.interruptEnable(), rxq.interruptEnable()]).toEqual([0, 0]);
    expect(rxq.rxOne()).toBe(EINVAL);
    rxq.interruptDisable();
    expect(rxq.rxOne()).toBe(0);
  });

  it("disabled again tell of nothing", async () => {
    const { rxq, events, send } = await setup();
    rxq.interruptEnable();
    rxq.interruptDisable();
    send();
    rxq.rxOne();
    send();
    expect(events).toEqual([]);
  });

  it("can be used from within: all packets are received by events alone", async () => {
    const received: number[] = [];
    const { s, rxq, send } = await setup((queue) => {
      let status: number;
      do {
        status = queue.rxOne();
        if ((status & SUCCESS) === 0) continue;
        received.push(s.pool.read(queue.packet)[20]);
        s.pool.release(queue.packet);
      } while (status >= 0 && (status & MORE) !== 0);
    });
    rxq.interruptEnable();
    for (let seed = 0; seed < 200; seed++) expect(send(seed)).toBe(1);
    expect(received).toEqual(Array.from({ length: 200 }, (_, seed) => frame(60, seed)[20]));
    expect(s.pool.available).toBe(64 - 16);
  });

  it("of others, on a shared line, are none of this queue's", async () => {
    const { s, rxq, events } = await setup();
    s.transport.core.queues[0].enabled = true;
    rxq.interruptDisable();
    s.device.context?.queues[0]?.notifier.notify();
    expect(events).toEqual([]);
  });

  it("without anybody to tell are ENOTSUP", async () => {
    const s = await setupStrict();
    expect(() => s.rxqs[0].interruptEnable()).toThrow(expect.objectContaining({ errno: "ENOTSUP" }));
  });
});

describe("the header of a received packet", () => {
  const features = [F.GUEST_CSUM, F.GUEST_TSO4, F.GUEST_TSO6, F.MRG_RXBUF];
  const receive = async (header: Parameters<typeof headed>[0], negotiated = features, length = 100) => {
    const s = await setupStrict({ device: { features: negotiated } });
    s.device.deliver(0, headed(header, frame(length)));
    const status = s.rxqs[0].rxOne();
    return { status, s, packet: s.rxqs[0].packet, counters: s.rxqs[0].counters };
  };

  it("flags that are not known are ignored [net.driver.processing-of-incoming-packets.1]", async () => {
    const { status, s, packet } = await receive({ flags: 0xfe, csumStart: 0xffff });
    expect([status, s.pool.flags[packet]]).toEqual([SUCCESS, 2]);
  });

  it("a partial checksum comes with its place", async () => {
    const { status, s, packet } = await receive({ flags: 1, csumStart: 34, csumOffset: 16 });
    expect([status, s.pool.flags[packet], s.pool.csumStart[packet], s.pool.csumOffset[packet]]).toEqual([1, 1, 34, 16]);
  });

  it("a partial checksum may be in the packet's last two bytes", async () => {
    const { status, s, packet } = await receive({ flags: 1, csumStart: 34, csumOffset: 64 });
    expect([status, s.pool.flags[packet]]).toEqual([SUCCESS, 1]);
  });

  it("without NEEDS_CSUM csum_start and csum_offset mean nothing [net.driver.processing-of-incoming-packets.4]", async () => {
    expect((await receive({ flags: 0, csumStart: 0xffff, csumOffset: 0xffff })).status).toBe(SUCCESS);
    expect((await receive({ flags: 2, csumStart: 0xffff, csumOffset: 0xffff })).status).toBe(SUCCESS);
    const segments = { gsoType: 1, gsoSize: 40, csumStart: 0xffff, csumOffset: 0xffff };
    expect((await receive({ flags: 2, ...segments })).status).toBe(SUCCESS);
  });

  it("without NEEDS_CSUM and DATA_VALID the packet's checksum is not vouched for [net.driver.processing-of-incoming-packets.7]", async () => {
    for (const flags of [0, 4, 0xfc]) {
      const { s, packet } = await receive({ flags });
      expect(s.pool.flags[packet]).toBe(0);
    }
  });

  it("DATA_VALID means nothing without GUEST_CSUM", async () => {
    const { s, status, packet } = await receive({ flags: 2 }, []);
    expect([status, s.pool.flags[packet]]).toEqual([SUCCESS, 0]);
  });

  it.each([0, 54, 0xffff])(
    "hdr_len %i is passed on as a hint, whatever it says [net.driver.processing-of-incoming-packets.5][net.driver.processing-of-incoming-packets.6]",
    async (hdrLen) => {
      const { s, status, packet } = await receive({
        flags: 1,
        gsoType: 1,
        hdrLen,
        gsoSize: 40,
        csumStart: 34,
        csumOffset: 16,
      });
      expect([status, s.pool.hdrLen[packet], s.pool.gsoSize[packet]]).toEqual([SUCCESS, hdrLen, 40]);
    },
  );

  it("tells of a segmented packet", async () => {
    const { s, status, packet, counters } = await receive({
      flags: 1,
      gsoType: 4,
      gsoSize: 40,
      csumStart: 54,
      csumOffset: 16,
    });
    expect([status, s.pool.gsoType[packet], counters.gso]).toEqual([SUCCESS, 4, 1]);
  });

  it.each([
    ["a checksum that was not negotiated", { flags: 1, csumStart: 34, csumOffset: 16 }, []],
    ["a checksum past the packet", { flags: 1, csumStart: 34, csumOffset: 65 }, features],
    [
      "segments that were not negotiated",
      { flags: 1, gsoType: 4, gsoSize: 40, csumStart: 34, csumOffset: 16 },
      [F.GUEST_CSUM, F.GUEST_TSO4, F.MRG_RXBUF],
    ],
    ["ECN that was not negotiated", { flags: 1, gsoType: 0x81, gsoSize: 40, csumStart: 34, csumOffset: 16 }, features],
    ["segments of 0 bytes", { flags: 1, gsoType: 1, gsoSize: 0, csumStart: 34, csumOffset: 16 }, features],
    ["UDP segments", { flags: 1, gsoType: 3, gsoSize: 40, csumStart: 34, csumOffset: 16 }, features],
    [
      "both kinds of UDP tunnels [net.driver.processing-of-incoming-packets.8]",
      { flags: 1, gsoType: 0x61, gsoSize: 40, csumStart: 34, csumOffset: 16 },
      features,
    ],
    [
      "a UDP tunnel without a checksum [net.driver.processing-of-incoming-packets.10]",
      { flags: 0, gsoType: 0x21, gsoSize: 40, csumStart: 34, csumOffset: 16 },
      features,
    ],
    [
      "a UDP tunnel that is said to be valid [net.driver.processing-of-incoming-packets.10]",
      { flags: 3, gsoType: 0x41, gsoSize: 40, csumStart: 34, csumOffset: 16 },
      features,
    ],
    [
      "a UDP tunnel without segments [net.driver.processing-of-incoming-packets.10]",
      { flags: 1, gsoType: 0x20, gsoSize: 40, csumStart: 34, csumOffset: 16 },
      features,
    ],
  ])("%s: the packet is dropped and counted", async (_, header, negotiated) => {
    const { status, s, packet, counters } = await receive(header, [...negotiated]);
    expect([status, packet]).toEqual([EINVAL, NO_NETBUF]);
    expect(counters).toMatchObject({ packets: 0, bytes: 0, badHeader: 1 });
    expect(s.pool.available).toBe(64 - 16);
  });
});
