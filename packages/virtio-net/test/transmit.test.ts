import { connect } from "@virtio-ts/net-link";
import { GuestMemory, MemoryRegion } from "@virtio-ts/vm-memory";
import { describe, expect, it } from "vitest";
import { concat, frame, header, INDIRECT, pieces, setupNic, TestBackend, TX, tagged, transmit } from "./support/nic.ts";

const CSUM = 0;
const MTU = 3;
const HOST_TSO4 = 11;
const HOST_TSO6 = 12;
const MRG_RXBUF = 15;

describe("a frame on its way out (5.1.6.2)", () => {
  it("reaches the backend behind a header in a descriptor of its own", () => {
    const s = setupNic();
    const head = transmit(s, frame(60));
    s.kick(TX);
    expect(s.backend.frames.map((f) => f.bytes)).toEqual([frame(60)]);
    expect(s.tx.collect()).toEqual([{ head, length: 0 }]);
    expect(s.nic.counters.tx).toEqual({ frames: 1, bytes: 60, gso: 0, notifications: 1, stalls: 0 });
  });

  it.each([
    ["header and frame in one descriptor", []],
    ["a header over three descriptors", [1, 10, 1]],
    ["a descriptor that ends in the header's middle and holds frame behind it", [7, 20]],
    ["a descriptor for each of the first bytes", new Array(20).fill(1)],
  ])("has any arrangement of descriptors: %s [split.device.message-framing.1]", (_, lengths) => {
    const s = setupNic({ size: 32 });
    s.tx.offer(pieces(concat(header(), frame(100)), ...lengths));
    s.kick(TX);
    expect(s.backend.frames.map((f) => f.bytes)).toEqual([frame(100)]);
  });

  it.each([1, 2, 5, 7, 9, 11])(
    "has a header cut after byte %i, and every field is read [split.device.message-framing.1]",
    (cut) => {
      const s = setupNic({ features: [CSUM, HOST_TSO4] });
      const fields = { flags: 1, gsoType: 1, hdrLen: 0x136, gsoSize: 0x5b4, csumStart: 0x122, csumOffset: 0x110 };
      s.tx.offer(pieces(concat(header(fields), frame(3000)), cut, 12 - cut));
      s.kick(TX);
      expect(s.backend.frames).toMatchObject([fields]);
    },
  );

  it("may be in an indirect table", () => {
    const s = setupNic({ features: [INDIRECT] });
    s.tx.offer(pieces(concat(header(), frame(100)), 12, 30, 40), { indirect: true });
    s.kick(TX);
    expect(s.backend.frames.map((f) => f.bytes)).toEqual([frame(100)]);
  });

  it("is handed over as views into guest memory, whatever its length", () => {
    const s = setupNic();
    transmit(s, frame(60));
    transmit(s, frame(1514));
    s.kick(TX);
    const ram = s.memory.regions[0].u8.buffer;
    expect(s.backend.segmentBuffers).toEqual([ram, ram]);
  });

  it("may lie across two adjacent regions of memory", () => {
    const memory = new GuestMemory([
      new MemoryRegion(0, new Uint8Array(0x50_0000)),
      new MemoryRegion(0x50_0000, new Uint8Array(0x10_0000)),
    ]);
    const s = setupNic({ memory });
    s.tx.offer([{ bytes: header() }, { address: 0x50_0000 - 700, bytes: frame(1514) }]);
    s.kick(TX);
    expect(s.backend.frames.map((f) => f.bytes)).toEqual([frame(1514)]);
  });

  it.each([
    [10, "legacy without MRG_RXBUF", true, []],
    [12, "legacy with MRG_RXBUF", true, [MRG_RXBUF]],
    [12, "modern without MRG_RXBUF", false, []],
    [12, "modern with MRG_RXBUF", false, [MRG_RXBUF]],
  ])("has a header of %i bytes: %s", (size, _, legacy, features) => {
    const s = setupNic({ legacy, features });
    s.tx.offer([{ bytes: concat(header({}, size), frame(60)) }]);
    s.kick(TX);
    expect(s.backend.frames.map((f) => f.bytes)).toEqual([frame(60)]);
  });

  it("keeps its place among the others", () => {
    const s = setupNic({ size: 256 });
    for (let i = 0; i < 100; i++) transmit(s, frame(60 + i, i));
    s.kick(TX);
    expect(s.backend.frames.map((f) => f.bytes)).toEqual(Array.from({ length: 100 }, (_, i) => frame(60 + i, i)));
    expect(s.tx.collect().length).toBe(100);
  });

  it("of up to the MTU goes out whole, with a VLAN tag as well [net.device.device-configuration-layout.6]", () => {
    const s = setupNic({ features: [MTU], nic: { mtu: 1400 } });
    transmit(s, frame(1400 + 14));
    const tagged = frame(1400 + 18);
    tagged.set([0x81, 0x00, 0, 7], 12);
    transmit(s, tagged);
    s.kick(TX);
    expect(s.backend.frames.map((f) => f.bytes)).toEqual([frame(1414), tagged]);
  });

  it.each([
    [0x88a8, 0x8100],
    [0x8100, 0x8100],
  ])("of up to the MTU goes out with two VLAN tags (0x%s, 0x%s), of 4 bytes each", (outer, inner) => {
    const s = setupNic();
    transmit(s, tagged(1522, outer, inner));
    transmit(s, tagged(1523, outer, inner));
    s.kick(TX);
    expect(s.backend.frames.map((f) => f.bytes)).toEqual([tagged(1522, outer, inner)]);
    expect(s.nic.counters.dropped.txLongFrame).toBe(1);
  });

  it("of 4 bytes more than MTU and Ethernet header goes out whatever its type says, for they may be a tag", () => {
    const s = setupNic();
    transmit(s, frame(1518));
    s.kick(TX);
    expect(s.backend.frames.map((f) => f.bytes)).toEqual([frame(1518)]);
  });

  it("is counted with its bytes when the link takes it, and not before", () => {
    const s = setupNic();
    s.backend.room = 1;
    transmit(s, frame(60));
    transmit(s, frame(100));
    s.kick(TX);
    expect(s.nic.counters.tx).toMatchObject({ frames: 1, bytes: 60, stalls: 1 });
    s.backend.room = 1;
    s.nic.resume();
    expect(s.nic.counters.tx).toMatchObject({ frames: 2, bytes: 160, stalls: 1 });
  });

  it("of 1522 bytes with one VLAN tag, or none, is too long for an MTU of 1500", () => {
    const s = setupNic();
    transmit(s, tagged(1522, 0x8100, 0x0800));
    transmit(s, tagged(1522, 0x0800, 0x8100));
    s.kick(TX);
    expect(s.backend.frames).toEqual([]);
    expect(s.nic.counters.dropped.txLongFrame).toBe(2);
  });

  it("of 64 KiB to be segmented may have two VLAN tags", () => {
    const s = setupNic({ features: [CSUM, HOST_TSO4] });
    const head = header({ flags: 1, gsoType: 1, hdrLen: 62, gsoSize: 1460, csumStart: 42, csumOffset: 16 });
    transmit(s, tagged(65535 + 22, 0x88a8, 0x8100), head);
    transmit(s, tagged(65535 + 23, 0x88a8, 0x8100), head);
    s.kick(TX);
    expect(s.backend.frames.map((f) => f.bytes.length)).toEqual([65557]);
    expect(s.nic.counters.dropped.txLongFrame).toBe(1);
  });
});

describe("its header (5.1.6.2)", () => {
  it("has flags that the device does not know: they are ignored [net.device.packet-transmission.1]", () => {
    const s = setupNic();
    transmit(s, frame(60), header({ flags: 0xfe }));
    s.kick(TX);
    expect(s.backend.frames.map((f) => f.flags)).toEqual([0]);
    expect(s.backend.frames.map((f) => f.bytes)).toEqual([frame(60)]);
  });

  it("is not the place to say that a checksum is right [net.device.packet-transmission.11]", () => {
    const s = setupNic({ features: [CSUM] });
    transmit(s, frame(60), header({ flags: 2 }));
    transmit(s, frame(60), header({ flags: 3, csumStart: 34, csumOffset: 16 }));
    s.kick(TX);
    expect(s.backend.frames.map((f) => f.flags)).toEqual([0, 1]);
  });

  it("without NEEDS_CSUM may say nonsense of the checksum [net.device.packet-transmission.2]", () => {
    const s = setupNic({ features: [CSUM] });
    connect(s.nic, s.backend);
    s.backend.accepts = 0;
    transmit(s, frame(60), header({ csumStart: 0xffff, csumOffset: 0xffff }));
    transmit(s, frame(60), header({ csumStart: 20, csumOffset: 6 }));
    s.kick(TX);
    expect(s.backend.frames).toMatchObject([
      { bytes: frame(60), csumStart: 0, csumOffset: 0 },
      { bytes: frame(60), csumStart: 0, csumOffset: 0 },
    ]);
  });

  it("carries the checksum to be done, once CSUM was negotiated", () => {
    const s = setupNic({ features: [CSUM] });
    transmit(s, frame(60), header({ flags: 1, csumStart: 34, csumOffset: 16 }));
    s.kick(TX);
    expect(s.backend.frames[0]).toMatchObject({ flags: 1, csumStart: 34, csumOffset: 16 });
  });

  it.each([
    [HOST_TSO4, 1],
    [HOST_TSO6, 4],
  ])("carries a segmentation to be done, with feature %i gso_type %i", (bit, gsoType) => {
    const s = setupNic({ features: [CSUM, bit] });
    const fields = { flags: 1, gsoType, hdrLen: 54, gsoSize: 1460, csumStart: 34, csumOffset: 16 };
    s.tx.offer([{ bytes: header(fields) }, { bytes: frame(65535 + 14) }]);
    s.kick(TX);
    expect(s.backend.frames[0]).toMatchObject(fields);
    expect(s.backend.frames[0].bytes).toEqual(frame(65535 + 14));
    expect(s.nic.counters.tx.gso).toBe(1);
  });

  it.each([
    ["past the frame", 0xffff],
    ["0", 0],
    ["too small", 20],
  ])("has a hdr_len %s that is not relied upon [net.device.packet-transmission.7]", (_, hdrLen) => {
    const s = setupNic({ features: [CSUM, HOST_TSO4] });
    const link = new TestBackend();
    connect(s.nic, link);
    link.accepts = 0;
    const payload = 3000;
    const packet = tcp4(payload);
    transmit(s, packet, header({ flags: 1, gsoType: 1, hdrLen, gsoSize: 1000, csumStart: 34, csumOffset: 16 }));
    s.kick(TX);
    expect(link.frames.map((f) => f.bytes.length)).toEqual([1054, 1054, 1054]);
  });

  it.each([
    ["UDP fragmentation (3)", 3],
    ["UDP segmentation (5)", 5],
    ["an unknown type (2)", 2],
    ["an unknown type (0x7f)", 0x7f],
    ["ECN alone (0x80)", 0x80],
    ["ECN, not negotiated (0x81)", 0x81],
    ["TCP in an IPv4 tunnel (0x21)", 0x21],
  ])("asks for %s, which was not negotiated: the frame is dropped", (_, gsoType) => {
    const s = setupNic({ features: [CSUM, HOST_TSO4, HOST_TSO6] });
    transmit(s, frame(2000), header({ flags: 1, gsoType, gsoSize: 1000, csumStart: 34, csumOffset: 16 }));
    s.kick(TX);
    expect(s.backend.frames).toEqual([]);
    expect(s.tx.collect().length).toBe(1);
    expect(s.nic.counters.dropped.txBadHeader).toBe(1);
  });

  it("has both tunnel bits: the frame is not accepted [net.device.packet-transmission.8]", () => {
    const s = setupNic({ features: [CSUM, HOST_TSO4, HOST_TSO6] });
    transmit(s, frame(2000), header({ flags: 1, gsoType: 0x61, gsoSize: 1000, csumStart: 34, csumOffset: 16 }));
    s.kick(TX);
    expect(s.backend.frames).toEqual([]);
    expect(s.nic.counters.dropped.txBadHeader).toBe(1);
  });

  it.each([
    ["without NEEDS_CSUM", { flags: 0, gsoType: 0x21, gsoSize: 1000 }],
    ["with DATA_VALID", { flags: 3, gsoType: 0x21, gsoSize: 1000, csumStart: 34, csumOffset: 16 }],
    ["without a type in the tunnel", { flags: 1, gsoType: 0x20, gsoSize: 1000, csumStart: 34, csumOffset: 16 }],
  ])("has a tunnel bit %s: the frame is not accepted [net.device.packet-transmission.10]", (_, fields) => {
    const s = setupNic({ features: [CSUM, HOST_TSO4, HOST_TSO6] });
    transmit(s, frame(2000), header(fields));
    s.kick(TX);
    expect(s.backend.frames).toEqual([]);
    expect(s.nic.counters.dropped.txBadHeader).toBe(1);
  });
});

describe("a malformed frame completes its head, is counted, and the queue goes on", () => {
  const bad: [string, Uint8Array, string][] = [
    ["an empty header", new Uint8Array(1), "txShortHeader"],
    ["a chain shorter than the header", new Uint8Array(11), "txShortHeader"],
    ["a header and nothing", header(), "txShortFrame"],
    ["a frame of 13 bytes", concat(header(), frame(13)), "txShortFrame"],
    ["a frame above the maximum", concat(header(), frame(1519)), "txLongFrame"],
    ["a segmented frame above 64 KiB", concat(tso({}), frame(65535 + 19)), "txLongFrame"],
    ["gso_size 0", concat(tso({ gsoSize: 0 }), frame(3000)), "txBadHeader"],
    ["segmentation without NEEDS_CSUM", concat(tso({ flags: 0 }), frame(3000)), "txBadHeader"],
    ["csum_start past the frame", concat(header({ flags: 1, csumStart: 60 }), frame(60)), "txBadHeader"],
    [
      "csum_offset past the frame",
      concat(header({ flags: 1, csumStart: 34, csumOffset: 25 }), frame(60)),
      "txBadHeader",
    ],
    ["both at 65535", concat(header({ flags: 1, csumStart: 65535, csumOffset: 65535 }), frame(60)), "txBadHeader"],
  ];
  it.each(bad)("%s", (_, bytes, reason) => {
    const s = setupNic({ features: [CSUM, HOST_TSO4] });
    const heads = [transmit(s, frame(60, 1)), s.tx.offer([{ bytes }]), transmit(s, frame(60, 2))];
    s.kick(TX);
    expect(s.backend.frames.map((f) => f.bytes)).toEqual([frame(60, 1), frame(60, 2)]);
    expect(s.tx.collect()).toEqual(heads.map((head) => ({ head, length: 0 })));
    expect(s.nic.counters.dropped).toMatchObject({ [reason]: 1 });
    expect(s.nic.counters.tx.frames).toBe(2);
    expect(s.core.status).toBe(15);
  });

  it("a checksum in the frame's last two bytes is none", () => {
    const s = setupNic({ features: [CSUM] });
    transmit(s, frame(60), header({ flags: 1, csumStart: 34, csumOffset: 24 }));
    s.kick(TX);
    expect(s.backend.frames.length).toBe(1);
  });

  it("a chain of device-writable descriptors holds no frame", () => {
    const s = setupNic();
    const head = s.tx.offer([{ length: 2000, writable: true }]);
    s.kick(TX);
    expect(s.tx.collect()).toEqual([{ head, length: 0 }]);
    expect(s.nic.counters.dropped.txShortHeader).toBe(1);
  });

  it("offloads that were not negotiated are not done", () => {
    const s = setupNic();
    transmit(s, frame(60), header({ flags: 1, csumStart: 34, csumOffset: 16 }));
    s.kick(TX);
    expect(s.backend.frames).toEqual([]);
    expect(s.nic.counters.dropped.txBadHeader).toBe(1);
  });

  it("ten thousand of them leave the queue working", () => {
    const s = setupNic();
    const address = s.tx.allocate(16);
    for (let i = 0; i < 10_000; i++) {
      s.tx.offer([{ address, length: 5 }]);
      s.kick(TX);
      s.tx.collect();
    }
    transmit(s, frame(60));
    s.kick(TX);
    expect(s.backend.frames.length).toBe(1);
    expect(s.nic.counters.dropped.txShortHeader).toBe(10_000);
  });
});

describe("a malformed chain stops the queue, raises DEVICE_NEEDS_RESET, and a reset brings the device back", () => {
  it.each([
    ["a loop", { address: 0x10_0000, length: 16, flags: 1, next: 0 }],
    ["a buffer outside memory", { address: 0x7fff_0000, length: 16, flags: 0 }],
    ["a length past memory", { address: 0x10_0000, length: 0xffff_ffff, flags: 0 }],
    ["next out of range", { address: 0x10_0000, length: 16, flags: 1, next: 99 }],
    ["an indirect table that was not negotiated", { address: 0x10_0000, length: 16, flags: 4 }],
  ])("%s", (_, descriptor) => {
    const s = setupNic();
    s.tx.setDescriptor(0, descriptor);
    s.tx.setAvail(0, 0);
    s.tx.setAvailIndex(1);
    s.kick(TX);
    s.kick(TX);
    expect(s.core.status).toBe(15 | 64);
    expect(s.faults.map((f) => f.code)).toEqual(["queue-malformed"]);
    expect([s.tx.usedIndex, s.scheduler.tasks.length]).toEqual([0, 0]);
    s.core.writeStatus(0);
    const fresh = setupNic({ memory: s.memory });
    transmit(fresh, frame(60));
    fresh.kick(TX);
    expect(fresh.backend.frames.length).toBe(1);
  });
});

function tso(fields: { flags?: number; gsoSize?: number }): Uint8Array {
  return header({ flags: 1, gsoType: 1, hdrLen: 54, gsoSize: 1460, csumStart: 34, csumOffset: 16, ...fields });
}

/** A TCP over IPv4 frame, its fields as far as a segmenter looks at them. */
function tcp4(payload: number): Uint8Array {
  const bytes = frame(54 + payload);
  const view = new DataView(bytes.buffer);
  bytes.set([0x45, 0, 0, 0, 0, 1, 0, 0, 64, 6, 0, 0, 10, 0, 2, 15, 10, 0, 2, 2], 14);
  view.setUint16(16, 40 + payload);
  bytes.set([0x04, 0xd2, 0x16, 0x2e, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 0x10, 0xff, 0xff, 0, 0, 0, 0], 34);
  return bytes;
}
