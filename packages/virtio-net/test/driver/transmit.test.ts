/** What the driver gives to be sent: VIRTIO 1.4, 5.1.6.2.1. */
import { feature, VIRTIO_F_RING_PACKED } from "@virtio-ts/virtio-bindings";
import { DEFAULT_RING_FEATURES } from "@virtio-ts/virtio-device";
import { describe, expect, it } from "vitest";
import { NO_NETBUF, PacketBurst } from "../../src/index.ts";
import { frame, tagged } from "../support/nic.ts";
import { packetOf, type Strict, setupStrict } from "./support/strict.ts";
import { F } from "./support/strict-nic.ts";

const SUCCESS = 1;
const MORE = 2;
const EINVAL = -22;
const NEEDS_CSUM = 1;
const DATA_VALID = 2;
const TCPV4 = 1;
const TCPV6 = 4;
const ECN = 0x80;
const ANY_LAYOUT = 1n << 27n;
const INDIRECT_DESC = 1n << 28n;

interface Offloads {
  flags?: number;
  gsoType?: number;
  gsoSize?: number;
  hdrLen?: number;
  csumStart?: number;
  csumOffset?: number;
}

/** A packet of `length` bytes with offloads. */
function offloaded(s: Strict, length: number, offloads: Offloads): number {
  const packet = packetOf(s.pool, frame(length));
  for (const [name, value] of Object.entries(offloads)) s.pool[name as keyof Offloads][packet] = value;
  return packet;
}

const PARTIAL = { flags: NEEDS_CSUM, csumStart: 34, csumOffset: 16 };
const SEGMENTED = { ...PARTIAL, gsoSize: 536, hdrLen: 54 };

describe("a packet", () => {
  it("goes out with a header of 12 bytes in its headroom, all of it 0 [net.driver.packet-transmission.1][net.driver.packet-transmission.2]", async () => {
    const s = await setupStrict();
    const packet = packetOf(s.pool, frame(60));
    s.pool.region.u8.fill(0xee, s.pool.start(packet) - 64, s.pool.start(packet));
    expect(s.txqs[0].txOne(packet)).toBe(SUCCESS | MORE);
    expect(s.device.sent).toEqual([
      { pair: 0, elements: [72], bytes: Uint8Array.of(...new Array(12).fill(0), ...frame(60)) },
    ]);
  });

  it("of any place in its buffer goes out as it is", async () => {
    const s = await setupStrict();
    for (const offset of [12, 13, 14, 15, 64, 100, 1001]) {
      const packet = s.pool.allocate();
      s.pool.offsets[packet] = offset;
      s.pool.write(packet, frame(60, offset));
      expect(s.txqs[0].txOne(packet)).toBe(SUCCESS | MORE);
      expect(s.device.sent.pop()?.bytes).toEqual(Uint8Array.of(...new Array(12).fill(0), ...frame(60, offset)));
    }
  });

  it("in several buffers is one chain", async () => {
    const s = await setupStrict();
    const bytes = frame(1000);
    const parts = [bytes.subarray(0, 14), bytes.subarray(14, 600), bytes.subarray(600)].map((part) =>
      packetOf(s.pool, part),
    );
    s.pool.next[parts[0]] = parts[1];
    s.pool.next[parts[1]] = parts[2];
    expect(s.txqs[0].txOne(parts[0])).toBe(SUCCESS | MORE);
    expect(s.device.sent[0].elements).toEqual([26, 586, 400]);
    expect(s.device.sent[0].bytes.subarray(12)).toEqual(bytes);
    expect(s.txqs[0].counters).toMatchObject({ packets: 1, bytes: 1000 });
    s.txqs[0].reclaim();
    expect(s.pool.available).toBe(64 - 16);
  });

  it("of a legacy device has a header of 10 bytes in a descriptor of its own [net.legacy.driver.legacy-interface-framing-requirements.1]", async () => {
    const s = await setupStrict({ legacy: true, without: ANY_LAYOUT });
    s.txqs[0].txOne(packetOf(s.pool, frame(60)));
    expect(s.device.sent[0].elements).toEqual([10, 60]);
    expect(s.device.sent[0].bytes).toEqual(Uint8Array.of(...new Array(10).fill(0), ...frame(60)));
  });

  it("of a legacy device with mergeable buffers has one of 12", async () => {
    const s = await setupStrict({ legacy: true, without: ANY_LAYOUT, device: { features: [F.MRG_RXBUF] } });
    s.txqs[0].txOne(packetOf(s.pool, frame(60)));
    expect(s.device.sent[0].elements).toEqual([12, 60]);
  });

  it("of a legacy device with ANY_LAYOUT has it in the same descriptor", async () => {
    const s = await setupStrict({ legacy: true });
    s.txqs[0].txOne(packetOf(s.pool, frame(60)));
    expect(s.device.sent[0].elements).toEqual([70]);
  });

  it("with hashes has a header of 20 bytes", async () => {
    const s = await setupStrict({ device: { features: [F.CTRL_VQ, F.HASH_REPORT] } });
    const packet = packetOf(s.pool, frame(60));
    s.pool.region.u8.fill(0xee, s.pool.start(packet) - 64, s.pool.start(packet));
    s.txqs[0].txOne(packet);
    expect(s.device.sent[0].bytes).toEqual(Uint8Array.of(...new Array(20).fill(0), ...frame(60)));
    expect(s.pool.region.u8[s.pool.start(packet) - 21]).toBe(0xee);
  });

  it.each([
    ["shorter than an Ethernet header", (s: Strict) => packetOf(s.pool, frame(13))],
    ["without bytes", (s: Strict) => s.pool.allocate()],
    [
      "that was given back",
      (s: Strict) => {
        const packet = packetOf(s.pool, frame(60));
        s.pool.release(packet);
        return packet;
      },
    ],
    ["that there is none of", () => 1000],
    [
      "without room for a header",
      (s: Strict) => {
        const packet = packetOf(s.pool, frame(60));
        s.pool.offsets[packet] = 11;
        return packet;
      },
    ],
    [
      "with an empty buffer in it",
      (s: Strict) => {
        const packet = packetOf(s.pool, frame(60));
        s.pool.next[packet] = s.pool.allocate();
        return packet;
      },
    ],
    [
      "that goes in circles",
      (s: Strict) => {
        const packet = packetOf(s.pool, frame(60));
        s.pool.next[packet] = packet;
        return packet;
      },
    ],
    [
      "of more buffers than the queue has entries",
      (s: Strict) => {
        const parts = Array.from({ length: 17 }, () => packetOf(s.pool, frame(14)));
        parts.forEach((part, i) => {
          s.pool.next[part] = parts[i + 1] ?? NO_NETBUF;
        });
        return parts[0];
      },
    ],
  ])("%s is refused with EINVAL, and stays with the caller", async (_, make) => {
    const s = await setupStrict();
    const packet = make(s);
    const { available } = s.pool;
    expect(s.txqs[0].txOne(packet)).toBe(EINVAL);
    expect([s.device.sent.length, s.pool.available]).toEqual([0, available]);
    expect(s.txqs[0].counters).toMatchObject({ packets: 0, bytes: 0, refused: 1 });
  });

  it("above the MTU is not sent, but for a VLAN tag [net.driver.device-configuration-layout.8]", async () => {
    const s = await setupStrict({ device: { features: [F.MTU], config: { 10: [100, 0] } } });
    const withTag = (type: number, length: number): number => {
      const bytes = frame(length);
      bytes.set([type >> 8, type & 0xff], 12);
      return packetOf(s.pool, bytes);
    };
    const statuses = [
      packetOf(s.pool, frame(114)),
      packetOf(s.pool, frame(115)),
      withTag(0x8100, 118),
      withTag(0x88a8, 118),
      withTag(0x8100, 119),
      withTag(0x0800, 118),
    ].map((packet) => s.txqs[0].txOne(packet));
    expect(statuses).toEqual([3, EINVAL, 3, 3, EINVAL, EINVAL]);
    expect(s.device.sent.map(({ bytes }) => bytes.length - 12)).toEqual([114, 118, 118]);
  });

  it("of the MTU may have two VLAN tags, wherever its buffers are cut", async () => {
    const s = await setupStrict({ device: { features: [F.MTU], config: { 10: [100, 0] } } });
    const cut = (bytes: Uint8Array, at: number): number => {
      const packet = packetOf(s.pool, bytes.subarray(0, at));
      s.pool.next[packet] = packetOf(s.pool, bytes.subarray(at));
      return packet;
    };
    const statuses = [
      packetOf(s.pool, tagged(122, 0x88a8, 0x8100)),
      cut(tagged(122, 0x8100, 0x8100), 14),
      cut(tagged(122, 0x88a8, 0x8100), 17),
      cut(tagged(118, 0x8100, 0x0800), 13),
      packetOf(s.pool, tagged(122, 0x8100, 0x0800)),
      packetOf(s.pool, tagged(123, 0x88a8, 0x8100)),
    ].map((packet) => s.txqs[0].txOne(packet));
    expect(statuses).toEqual([3, 3, 3, 3, EINVAL, EINVAL]);
    expect(s.device.sent.map(({ bytes }) => bytes.length - 12)).toEqual([122, 122, 122, 118]);
  });

  it("of 64 KiB to be segmented may have two VLAN tags", async () => {
    const s = await setupStrict({ device: { features: [F.CSUM, F.HOST_TSO4], size: 4 }, buffers: 8, capacity: 66_000 });
    const send = (length: number): number => {
      const packet = packetOf(s.pool, tagged(length, 0x88a8, 0x8100));
      Object.entries({ ...SEGMENTED, gsoType: TCPV4 }).forEach(([name, value]) => {
        s.pool[name as keyof Offloads][packet] = value;
      });
      return s.txqs[0].txOne(packet);
    };
    expect([send(65_557), send(65_558)]).toEqual([3, EINVAL]);
  });
});

describe("offloads", () => {
  it("a partial checksum: flags, csum_start and csum_offset are the packet's [net.driver.packet-transmission.17]", async () => {
    const s = await setupStrict({ device: { features: [F.CSUM] } });
    expect(s.txqs[0].txOne(offloaded(s, 60, { ...PARTIAL, gsoSize: 9, hdrLen: 9 }))).toBe(3);
    expect([...s.device.sent[0].bytes.subarray(0, 12)]).toEqual([1, 0, 0, 0, 0, 0, 34, 0, 16, 0, 0, 0]);
  });

  it("without CSUM flags are 0, and what would need more is refused [net.driver.packet-transmission.3]", async () => {
    const s = await setupStrict();
    expect(s.txqs[0].txOne(offloaded(s, 60, PARTIAL))).toBe(EINVAL);
    expect(s.txqs[0].txOne(offloaded(s, 60, { flags: DATA_VALID }))).toBe(3);
    expect(s.device.sent[0].bytes[0]).toBe(0);
  });

  it("a received packet goes out again without any of its other flags [net.driver.packet-transmission.13][net.driver.packet-transmission.16][net.driver.packet-transmission.31][net.driver.packet-transmission.33][net.driver.packet-transmission.34]", async () => {
    const s = await setupStrict({ device: { features: [F.CSUM] } });
    s.txqs[0].txOne(offloaded(s, 60, { flags: DATA_VALID | 4 | 0xf8 }));
    s.txqs[0].txOne(offloaded(s, 60, { ...PARTIAL, flags: 0xff }));
    expect(s.device.sent.map(({ bytes }) => bytes[0])).toEqual([0, 1]);
  });

  it("segmentation: gso_type, gso_size and hdr_len with NEEDS_CSUM [net.driver.packet-transmission.22][net.driver.packet-transmission.24]", async () => {
    const s = await setupStrict({ device: { features: [F.CSUM, F.HOST_TSO4] }, capacity: 4096 });
    expect(s.txqs[0].txOne(offloaded(s, 4000, { ...SEGMENTED, gsoType: TCPV4 }))).toBe(3);
    expect([...s.device.sent[0].bytes.subarray(0, 12)]).toEqual([1, 1, 54, 0, 0x18, 2, 34, 0, 16, 0, 0, 0]);
    expect(s.txqs[0].counters).toMatchObject({ packets: 1, gso: 1 });
    expect(s.txqs[0].txOne(offloaded(s, 4000, { ...SEGMENTED, gsoType: TCPV4, flags: 0 }))).toBe(EINVAL);
    expect(s.txqs[0].txOne(offloaded(s, 4000, { ...SEGMENTED, gsoType: TCPV4, gsoSize: 0 }))).toBe(EINVAL);
    expect(s.txqs[0].txOne(offloaded(s, 4000, { ...SEGMENTED, gsoType: TCPV4, hdrLen: 51 }))).toBe(EINVAL);
  });

  it.each([
    [
      "[net.driver.packet-transmission.7][net.driver.packet-transmission.8][net.driver.packet-transmission.10][net.driver.packet-transmission.12][net.driver.packet-transmission.14][net.driver.packet-transmission.15][net.driver.packet-transmission.21][net.driver.packet-transmission.30]",
      [F.CSUM],
      [],
    ],
    ["[net.driver.packet-transmission.5]", [F.CSUM, F.HOST_TSO4], [TCPV4]],
    ["[net.driver.packet-transmission.6]", [F.CSUM, F.HOST_TSO6], [TCPV6]],
    ["[net.driver.packet-transmission.9]", [F.CSUM, F.HOST_TSO4, F.HOST_ECN], [TCPV4, TCPV4 | ECN]],
    ["both", [F.CSUM, F.HOST_TSO4, F.HOST_TSO6], [TCPV4, TCPV6]],
  ])("of types only those negotiated go out %s", async (_, features, allowed) => {
    const s = await setupStrict({ device: { features } });
    const sent = [];
    for (let type = 1; type < 256; type++) {
      const packet = offloaded(s, 1000, { ...SEGMENTED, gsoType: type });
      const status = s.txqs[0].txOne(packet);
      if (status === EINVAL) s.pool.release(packet);
      else sent.push(type);
      s.txqs[0].reclaim();
    }
    expect(sent).toEqual(allowed);
    expect(s.device.sent.map(({ bytes }) => bytes[1])).toEqual(allowed);
  });

  it.each([
    [60, 34, 24, 3],
    [60, 34, 25, EINVAL],
    [60, 58, 0, 3],
    [60, 59, 0, EINVAL],
    [60, 0, 58, 3],
    [60, 0xffff, 0xffff, EINVAL],
  ])("of %i bytes, a checksum from %i at %i: %i", async (length, csumStart, csumOffset, status) => {
    const s = await setupStrict({ device: { features: [F.CSUM] } });
    expect(s.txqs[0].txOne(offloaded(s, length, { flags: NEEDS_CSUM, csumStart, csumOffset }))).toBe(status);
  });

  it.each([
    [65535 + 14, 3],
    [65535 + 15, EINVAL],
  ])("%i bytes to be segmented: %i", async (length, status) => {
    const s = await setupStrict({ device: { features: [F.CSUM, F.HOST_TSO4] }, capacity: 65600, buffers: 20 });
    expect(s.txqs[0].txOne(offloaded(s, length, { ...SEGMENTED, gsoType: TCPV4 }))).toBe(status);
  });
});

describe("a full queue", () => {
  it("answers without SUCCESS, and the caller keeps the packet", async () => {
    const s = await setupStrict();
    s.device.completes = false;
    const statuses = Array.from({ length: 17 }, () => s.txqs[0].txOne(packetOf(s.pool, frame(60))));
    expect(statuses).toEqual([...new Array(15).fill(SUCCESS | MORE), SUCCESS, 0]);
    expect(s.txqs[0].counters).toMatchObject({ packets: 16, full: 1 });
    expect(s.pool.available).toBe(64 - 16 - 17);
    s.device.complete();
    expect(s.txqs[0].reclaim()).toBe(0);
    expect(s.pool.available).toBe(64 - 16 - 1);
  });

  it("takes a burst as far as there is room, in order, and goes on later", async () => {
    const s = await setupStrict();
    s.device.completes = false;
    const burst = new PacketBurst(20);
    for (let i = 0; i < 20; i++) burst.add(packetOf(s.pool, frame(60, i)));
    expect([s.txqs[0].txBurst(burst), burst.next, burst.count]).toEqual([SUCCESS, 16, 20]);
    expect([s.txqs[0].txBurst(burst), burst.next]).toEqual([0, 16]);
    s.device.complete();
    expect([s.txqs[0].txBurst(burst), burst.next]).toEqual([SUCCESS | MORE, 20]);
    expect([s.txqs[0].txBurst(burst), burst.next]).toEqual([0, 20]);
    expect(s.device.sent.map(({ bytes }) => bytes.subarray(12))).toEqual(
      Array.from({ length: 20 }, (_, i) => frame(60, i)),
    );
  });

  it("of legacy framing, without indirect descriptors, holds half as many packets", async () => {
    const s = await setupStrict({ legacy: true, without: ANY_LAYOUT | INDIRECT_DESC });
    s.device.completes = false;
    const statuses = Array.from({ length: 9 }, () => s.txqs[0].txOne(packetOf(s.pool, frame(60))));
    expect(statuses).toEqual([...new Array(7).fill(SUCCESS | MORE), SUCCESS, 0]);
  });
});

describe("a burst", () => {
  it("stops before a packet that is not acceptable", async () => {
    const s = await setupStrict();
    const burst = new PacketBurst();
    for (const length of [60, 61, 13, 62]) burst.add(packetOf(s.pool, frame(length)));
    expect([s.txqs[0].txBurst(burst), burst.next]).toEqual([SUCCESS | MORE, 2]);
    expect([s.txqs[0].txBurst(burst), burst.next]).toEqual([EINVAL, 2]);
    burst.next++;
    expect([s.txqs[0].txBurst(burst), burst.next]).toEqual([SUCCESS | MORE, 4]);
    expect(s.device.sent.map(({ bytes }) => bytes.length)).toEqual([72, 73, 74]);
  });

  it("tells the device once", async () => {
    const s = await setupStrict();
    let kicks = 0;
    s.transport.notify = () => void kicks++;
    const burst = new PacketBurst();
    for (let i = 0; i < 10; i++) burst.add(packetOf(s.pool, frame(60)));
    s.txqs[0].txBurst(burst);
    expect(kicks).toBe(1);
  });
});

it("a packet answered from within its transmission can be answered again", async () => {
  let left = 5;
  const s = await setupStrict({
    onEvent: (rxq) => {
      while (rxq.rxOne() > 0 && rxq.packet !== NO_NETBUF) s.txqs[0].txOne(rxq.packet);
    },
  });
  s.rxqs[0].interruptEnable();
  const notify = s.transport.notify.bind(s.transport);
  s.transport.notify = (index) => {
    notify(index);
    if (index === 1 && left-- > 0) s.device.deliver(0, s.device.sent.at(-1)?.bytes ?? new Uint8Array());
  };
  s.txqs[0].txOne(packetOf(s.pool, frame(60)));
  expect(s.device.sent.map(({ bytes }) => bytes.subarray(12))).toEqual(new Array(6).fill(frame(60)));
});

it("the legacy interface's used length of transmitted packets is ignored [net.legacy.driver.legacy-interface-device-operation.1]", async () => {
  const s = await setupStrict({ legacy: true });
  s.device.completes = false;
  s.txqs[0].txOne(packetOf(s.pool, frame(60)));
  const active = s.device.context?.queues[1];
  active?.queue.push(0, 12345);
  active?.queue.flush();
  expect(s.txqs[0].reclaim()).toBe(0);
  expect(s.txqs[0].txOne(packetOf(s.pool, frame(60)))).toBe(3);
});

it("who waits for packets to be used wakes a device that waits for one it has used already", async () => {
  const s = await setupStrict({ ringFeatures: DEFAULT_RING_FEATURES | feature(VIRTIO_F_RING_PACKED) });
  const send = (): void => void s.txqs[0].txOne(packetOf(s.pool, frame(60)));
  const eventArea = s.core.queues[1].halves[4];
  s.device.completes = false;
  send();
  s.device.complete();
  s.memory.writeU32(eventArea, 1 << 16); // not to be notified
  send();
  expect(s.device.sent.length).toBe(1);
  s.memory.writeU32(eventArea, 0x8000 | (2 << 16)); // of descriptor 0 of the first lap
  expect(s.txqs[0].reclaim()).toBe(1);
  expect(s.device.sent.length).toBe(2);
});
