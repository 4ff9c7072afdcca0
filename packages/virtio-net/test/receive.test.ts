import { connect, FrameBurst, GSO_TCPV4, HDR_F_NEEDS_CSUM } from "@virtio-ts/net-link";
import { describe, expect, it, vi } from "vitest";
import {
  frame,
  INDIRECT,
  offerBuffers,
  RX,
  receive,
  setupNic,
  TestBackend,
  TX,
  tagged,
  transmit,
} from "./support/nic.ts";

const CSUM = 0;
const GUEST_CSUM = 1;
const MTU = 3;
const GUEST_TSO4 = 7;
const GUEST_TSO6 = 8;
const MRG_RXBUF = 15;

/** A burst of one frame with offloads, in one segment. */
function burstOf(bytes: Uint8Array, flags: number, gsoType: number, rest: readonly number[] = []): FrameBurst {
  const burst = new FrameBurst();
  burst.addSegment(bytes, 0, bytes.length);
  burst.endFrame(flags, gsoType, ...rest);
  return burst;
}

/** TCP over IPv4 with the checksum of the pseudo header in place, as a stack hands it to a NIC that segments. */
function tcp4(payload: number): Uint8Array {
  const bytes = frame(54 + payload);
  const view = new DataView(bytes.buffer);
  bytes.set([0x45, 0, 0, 0, 0, 1, 0x40, 0, 64, 6, 0, 0, 10, 0, 2, 2, 10, 0, 2, 15], 14);
  view.setUint16(16, 40 + payload);
  bytes.set([0x16, 0x2e, 0x04, 0xd2, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 0x10, 0xff, 0xff, 0, 0, 0, 0], 34);
  let sum = 0x0a00 + 0x0202 + 0x0a00 + 0x020f + 6 + 20 + payload;
  sum = (sum & 0xffff) + (sum >>> 16);
  view.setUint16(50, sum);
  return bytes;
}

/** Whether the TCP checksum of a TCP over IPv4 frame is right: RFC 1071 as its text says it. */
function tcpSumHolds(bytes: Uint8Array): boolean {
  const length = bytes.length - 34;
  const words = [...bytes.subarray(26, 34), 0, 6, length >> 8, length & 255, ...bytes.subarray(34)];
  let sum = 0;
  for (let i = 0; i < words.length; i++) sum += i % 2 === 0 ? words[i] * 256 : words[i];
  return sum % 0xffff === 0;
}

describe("a frame on its way in (5.1.6.4)", () => {
  it("comes with a header of zeros but num_buffers 1 [net.device.processing-of-incoming-packets.1]", () => {
    const s = setupNic();
    offerBuffers(s, 2, 2000);
    expect(s.backend.send(frame(60), frame(1514, 2))).toBe(2);
    const zeros = { flags: 0, gsoType: 0, hdrLen: 0, gsoSize: 0, csumStart: 0, csumOffset: 0 };
    expect(receive(s)).toEqual([
      { bytes: frame(60), ...zeros, numBuffers: 1, buffers: [72] },
      { bytes: frame(1514, 2), ...zeros, numBuffers: 1, buffers: [1526] },
    ]);
    expect(s.nic.counters.rx).toMatchObject({ frames: 2, bytes: 1574, stalls: 0 });
  });

  it.each([
    ["legacy without MRG_RXBUF: 10", true, [], 10],
    ["legacy with MRG_RXBUF: 12", true, [MRG_RXBUF], 12],
    ["modern: 12", false, [], 12],
  ])("comes with a header whose length depends on the driver, %s bytes", (_, legacy, features, size) => {
    const s = setupNic({ legacy, features });
    offerBuffers(s, 1, 2000);
    s.backend.send(frame(100));
    expect(receive(s, size)).toMatchObject([{ bytes: frame(100), buffers: [100 + size] }]);
  });

  it.each([
    ["one byte each", new Array(30).fill(1)],
    ["a header of its own", [12]],
    ["a cut in the header", [5]],
    ["a cut in the frame", [40]],
  ])("fits into a buffer of any descriptors: %s [split.device.message-framing.1]", (_, lengths) => {
    const s = setupNic({ size: 64 });
    s.rx.offer([...lengths, 200].map((length: number) => ({ length, writable: true })));
    s.backend.send(frame(100));
    expect(receive(s).map((f) => f.bytes)).toEqual([frame(100)]);
  });

  it("fits into a buffer in an indirect table", () => {
    const s = setupNic({ features: [INDIRECT] });
    s.rx.offer(
      [12, 50, 200].map((length) => ({ length, writable: true })),
      { indirect: true },
    );
    s.backend.send(frame(100));
    expect(receive(s).map((f) => f.bytes)).toEqual([frame(100)]);
  });

  it("may be made of many segments", () => {
    const s = setupNic();
    offerBuffers(s, 1, 2000);
    const burst = new FrameBurst();
    const bytes = frame(300);
    for (let at = 0; at < 300; at += 7) burst.addSegment(bytes, at, Math.min(7, 300 - at));
    burst.endFrame();
    expect(s.backend.peer?.take(burst, 0)).toBe(1);
    expect(receive(s).map((f) => f.bytes)).toEqual([bytes]);
  });

  it("is taken from where the burst was left", () => {
    const s = setupNic();
    offerBuffers(s, 4, 2000);
    const burst = new FrameBurst();
    for (let i = 0; i < 4; i++) burst.addFrame(frame(60, i));
    expect(s.backend.peer?.take(burst, 2)).toBe(4);
    expect(receive(s).map((f) => f.bytes)).toEqual([frame(60, 2), frame(60, 3)]);
  });

  it.each([
    [1000, 12, false],
    [1001, 12, false],
    [1002, 10, true],
    [1003, 10, true],
    [1004, 10, true],
  ])("touches no byte outside its buffer, at address %i with a header of %i bytes", (at, size, legacy) => {
    const s = setupNic({ legacy });
    const room = s.rx.allocate(4096);
    s.memory.fill(room, 4096, 0xee);
    s.rx.offer([{ address: room + at, length: 60 + size, writable: true }]);
    s.backend.send(frame(60));
    const bytes = new Uint8Array(4096);
    s.memory.read(room, bytes);
    expect(bytes.subarray(0, at).every((b) => b === 0xee)).toBe(true);
    expect(bytes.subarray(at + size + 60).every((b) => b === 0xee)).toBe(true);
    expect([...bytes.subarray(at, at + 10)]).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    expect(bytes.slice(at + size, at + size + 60)).toEqual(frame(60));
  });

  it("tells who watches the memory of every byte written", () => {
    const s = setupNic();
    offerBuffers(s, 1, 2000);
    const [{ address }] = s.rx.elements(0);
    const touched = new Set<number>();
    s.memory.regions[0].tracker = {
      written: (offset, length) => {
        for (let i = 0; i < length; i++) touched.add(offset + i);
      },
    };
    s.backend.send(frame(1500));
    for (let i = 0; i < 1512; i++) expect(touched.has(address + i)).toBe(true);
  });

  it("has a VLAN tag or none, as it comes [net.device.vlan-filtering.1]", () => {
    const s = setupNic({ features: [MTU] });
    offerBuffers(s, 4, 2000);
    const tagged = [0x8100, 0x88a8].map((type) => {
      const bytes = frame(1518);
      new DataView(bytes.buffer).setUint16(12, type);
      return bytes;
    });
    s.backend.send(...tagged);
    expect(receive(s).map((f) => f.bytes)).toEqual(tagged);
  });

  it("above the negotiated MTU is dropped [net.device.device-configuration-layout.5]", () => {
    const s = setupNic({ features: [MTU], nic: { mtu: 1400 } });
    offerBuffers(s, 8, 2000);
    const tagged = frame(1419);
    new DataView(tagged.buffer).setUint16(12, 0x8100);
    expect(s.backend.send(frame(1415), tagged, frame(1500), frame(1414))).toBe(4);
    expect(receive(s).map((f) => f.bytes)).toEqual([frame(1414)]);
    expect(s.nic.counters.dropped.rxLongFrame).toBe(3);
  });

  it("of the negotiated MTU comes with two VLAN tags", () => {
    const s = setupNic({ features: [MTU] });
    offerBuffers(s, 8, 2000);
    const frames = [
      tagged(1522, 0x88a8, 0x8100),
      tagged(1522, 0x8100, 0x8100),
      tagged(1522, 0x8100, 0x0800),
      tagged(1523, 0x88a8, 0x8100),
    ];
    expect(s.backend.send(...frames)).toBe(4);
    expect(receive(s).map((f) => f.bytes)).toEqual(frames.slice(0, 2));
    expect(s.nic.counters.dropped.rxLongFrame).toBe(2);
  });

  it("without MTU negotiated may be as long as the buffers", () => {
    const s = setupNic({ nic: { mtu: 1400 } });
    offerBuffers(s, 1, 2000);
    s.backend.send(frame(1900));
    expect(receive(s).map((f) => f.bytes)).toEqual([frame(1900)]);
  });
});

describe("mergeable receive buffers (5.1.6.3.1)", () => {
  it("a frame that fits takes one, num_buffers 1", () => {
    const s = setupNic({ features: [MRG_RXBUF] });
    offerBuffers(s, 4, 1526);
    s.backend.send(frame(1514));
    expect(receive(s)).toMatchObject([{ bytes: frame(1514), numBuffers: 1, buffers: [1526] }]);
  });

  it("a frame is spread over as many as it takes, and num_buffers says so [net.device.setting-up-receive-buffers.1] [net.device.processing-of-incoming-packets.2]", () => {
    const s = setupNic({ features: [MRG_RXBUF] });
    offerBuffers(s, 16, 500);
    s.backend.send(frame(1200), frame(60, 2));
    expect(receive(s)).toMatchObject([
      { bytes: frame(1200), numBuffers: 3 },
      { bytes: frame(60, 2), numBuffers: 1 },
    ]);
  });

  it.each([
    ["in a buffer of its own", [12, 100, 100, 100, 100]],
    ["in single bytes", [...new Array<number>(14).fill(1), 300, 100]],
    ["cut after num_buffers' first byte", [11, 300, 100]],
  ])("num_buffers says so of a header %s [net.device.processing-of-incoming-packets.2]", (_, lengths) => {
    for (const shape of ["chain", "buffers"] as const) {
      const s = setupNic({ size: 32, features: [MRG_RXBUF] });
      if (shape === "chain") s.rx.offer(lengths.map((length) => ({ length, writable: true })));
      else if (lengths[0] >= 12) for (const length of lengths) s.rx.offer([{ length, writable: true }]);
      else continue;
      s.rx.offer([{ length: 100, writable: true }]);
      expect(s.backend.send(frame(400))).toBe(1);
      // A chain holds the frame alone; buffers of 12 and 4 * 100 bytes are five.
      const room = lengths.reduce((sum, length) => sum + length, 0);
      expect(receive(s)).toMatchObject([{ numBuffers: shape === "buffers" ? 5 : room >= 412 ? 1 : 2 }]);
    }
  });

  it("num_buffers is in every header, wherever the buffer lies in memory [net.device.processing-of-incoming-packets.2]", () => {
    for (let shift = 0; shift < 8; shift++) {
      const s = setupNic({ size: 32, features: [MRG_RXBUF] });
      const at = s.rx.allocate(4096) + shift;
      s.memory.fill(at - shift, 4096, 0xee);
      for (let i = 0; i < 3; i++) s.rx.offer([{ address: at + 512 * i, length: 100, writable: true }]);
      expect(s.backend.send(frame(250))).toBe(1);
      const bytes = new Uint8Array(12);
      s.memory.read(at, bytes);
      expect([...bytes]).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0]);
    }
  });

  it("all of them but the last are full [net.device.processing-of-incoming-packets.3]", () => {
    const s = setupNic({ features: [MRG_RXBUF] });
    for (const length of [100, 37, 512, 2000]) s.rx.add([{ length, writable: true }]);
    s.rx.publish();
    s.backend.send(frame(1000));
    expect(receive(s)).toMatchObject([{ bytes: frame(1000), buffers: [100, 37, 512, 1012 - 649] }]);
  });

  it("all of them become used at once [net.device.processing-of-incoming-packets.4]", () => {
    const s = setupNic({ features: [MRG_RXBUF] });
    offerBuffers(s, 4, 300);
    // Only 4 of 6 are there: a used index that moved now would show a part of the frame.
    expect(s.backend.send(frame(1500))).toBe(0);
    expect(s.rx.usedIndex).toBe(0);
    offerBuffers(s, 2, 300);
    const store = vi.spyOn(Atomics, "store");
    expect(s.backend.send(frame(1500))).toBe(1);
    const usedIndex = s.rx.areas.deviceArea / 2 + 1;
    expect(store.mock.calls.filter(([, at]) => at === usedIndex).map(([, , value]) => value)).toEqual([6]);
    store.mockRestore();
    expect(receive(s)).toMatchObject([{ bytes: frame(1500), numBuffers: 6 }]);
  });

  it("a frame of 64 KiB fits into small ones", () => {
    const s = setupNic({ size: 256, features: [MRG_RXBUF, GUEST_CSUM, GUEST_TSO4] });
    offerBuffers(s, 256, 1526);
    const burst = burstOf(frame(65535 + 14), HDR_F_NEEDS_CSUM, GSO_TCPV4, [54, 1460, 34, 16]);
    expect(s.backend.peer?.take(burst, 0)).toBe(1);
    const [received] = receive(s);
    expect(received).toMatchObject({ numBuffers: 43, flags: 1, gsoType: 1, gsoSize: 1460 });
    expect(received.bytes).toEqual(frame(65535 + 14));
  });

  it("exactly as many bytes as the frame needs are enough", () => {
    const s = setupNic({ features: [MRG_RXBUF] });
    offerBuffers(s, 3, 100);
    s.backend.send(frame(288));
    expect(receive(s)).toMatchObject([{ bytes: frame(288), buffers: [100, 100, 100] }]);
  });

  it("without MRG_RXBUF a frame is in one buffer or in none [net.device.setting-up-receive-buffers.2]", () => {
    const s = setupNic();
    offerBuffers(s, 8, 500);
    expect(s.backend.send(frame(600), frame(488))).toBe(2);
    expect(receive(s)).toMatchObject([{ bytes: frame(488), numBuffers: 1 }]);
    expect(s.nic.counters.dropped.rxTooLarge).toBe(1);
  });
});

describe("offloads of received frames (5.1.6.4.1)", () => {
  function linked(features: readonly number[]) {
    const s = setupNic({ size: 64, features });
    const far = new TestBackend();
    connect(s.nic, far);
    offerBuffers(s, 64, 4000);
    return { ...s, far };
  }

  it("without GUEST_CSUM flags are zero and the checksum is there [net.device.processing-of-incoming-packets.5]", () => {
    const s = linked([]);
    s.far.peer?.take(burstOf(tcp4(100), 1, 0, [0, 0, 34, 16]), 0);
    const direct = setupNic();
    offerBuffers(direct, 1, 2000);
    direct.backend.peer?.take(burstOf(frame(60), 0xff, 0), 0);
    const [received] = receive(s);
    expect(received).toMatchObject({ flags: 0, csumStart: 0, csumOffset: 0 });
    expect(tcpSumHolds(received.bytes)).toBe(true);
    expect(receive(direct)[0].flags).toBe(0);
  });

  it("with GUEST_CSUM the driver is told what is still to be done [net.device.processing-of-incoming-packets.18]", () => {
    const s = linked([GUEST_CSUM]);
    const bytes = tcp4(100);
    s.far.peer?.take(burstOf(bytes, 1, 0, [0, 0, 34, 16]), 0);
    expect(receive(s)).toMatchObject([{ bytes, flags: 1, csumStart: 34, csumOffset: 16 }]);
  });

  it("only NEEDS_CSUM and DATA_VALID are ever set [net.device.processing-of-incoming-packets.11] [net.device.processing-of-incoming-packets.24] [net.device.processing-of-incoming-packets.31] [net.device.processing-of-incoming-packets.34]", () => {
    const s = setupNic({ features: [GUEST_CSUM] });
    offerBuffers(s, 1, 2000);
    s.backend.peer?.take(burstOf(frame(60), 0xff, 0), 0);
    expect(receive(s)[0].flags).toBe(3);
  });

  it("without GUEST_TSO4 no frame is TCPV4 to be segmented: it comes in segments [net.device.processing-of-incoming-packets.6] [net.device.processing-of-incoming-packets.21]", () => {
    const s = linked([GUEST_CSUM]);
    s.far.peer?.take(burstOf(tcp4(3000), 1, GSO_TCPV4, [54, 1000, 34, 16]), 0);
    const frames = receive(s);
    expect(frames.map((f) => [f.gsoType, f.gsoSize, f.bytes.length])).toEqual([
      [0, 0, 1054],
      [0, 0, 1054],
      [0, 0, 1054],
    ]);
  });

  it("with GUEST_TSO4 it comes whole, with NEEDS_CSUM and gso_size, and hdr_len [net.device.processing-of-incoming-packets.22] [net.device.processing-of-incoming-packets.25]", () => {
    const s = linked([GUEST_CSUM, GUEST_TSO4]);
    s.far.peer?.take(burstOf(tcp4(3000), 1, GSO_TCPV4, [54, 1000, 34, 16]), 0);
    expect(receive(s)).toMatchObject([{ flags: 1, gsoType: 1, gsoSize: 1000, hdrLen: 54, bytes: tcp4(3000) }]);
  });

  it("GUEST_TSO4 is not GUEST_TSO6 [net.device.processing-of-incoming-packets.8]", () => {
    expect(linked([GUEST_CSUM, GUEST_TSO4]).nic.accepts).toBe(3);
    expect(linked([GUEST_CSUM, GUEST_TSO6]).nic.accepts).toBe(5);
  });

  it.each([
    ["UDP", 3],
    ["UDP_L4", 5],
    ["a UDP tunnel's", 0x21],
  ])(
    "no frame is ever of gso_type %s [net.device.processing-of-incoming-packets.7] [net.device.processing-of-incoming-packets.9] [net.device.processing-of-incoming-packets.10]",
    (_, gsoType) => {
      const s = linked([GUEST_CSUM, GUEST_TSO4, GUEST_TSO6]);
      expect(s.far.peer?.take(burstOf(tcp4(3000), 1, gsoType, [54, 1000, 34, 16]), 0)).toBe(1);
      expect(receive(s)).toEqual([]);
    },
  );

  it("frames with ECN to be segmented come in segments [net.device.processing-of-incoming-packets.12]", () => {
    const s = linked([GUEST_CSUM, GUEST_TSO4]);
    s.far.peer?.take(burstOf(tcp4(3000), 1, 0x81, [54, 1000, 34, 16]), 0);
    expect(receive(s).map((f) => f.gsoType)).toEqual([0, 0, 0]);
  });

  it("a legacy driver that negotiates TSO without checksums gets neither", () => {
    const s = setupNic({ legacy: true, features: [GUEST_TSO4, MRG_RXBUF] });
    expect(s.nic.accepts).toBe(0);
    const t = setupNic({ legacy: true, features: [CSUM, GUEST_CSUM, GUEST_TSO4] });
    expect(t.nic.accepts).toBe(3);
  });
});

describe("receive buffers that are no good", () => {
  it.each([
    ["with MRG_RXBUF", [MRG_RXBUF]],
    ["without", []],
  ])("too small for a header, %s: given back empty, counted, and the next one serves", (_, features) => {
    const s = setupNic({ features });
    const [small, readable] = [s.rx.add([{ length: 11, writable: true }]), s.rx.add([{ length: 500 }])];
    const good = s.rx.add([{ length: 500, writable: true }]);
    s.rx.publish();
    expect(s.backend.send(frame(60))).toBe(1);
    expect(s.rx.collect()).toEqual([
      { head: small, length: 0 },
      { head: readable, length: 0 },
      { head: good, length: 72 },
    ]);
    expect(s.nic.counters.dropped.rxBadBuffers).toBe(2);
  });

  it("nothing but such: the frame waits, whole", () => {
    const s = setupNic();
    offerBuffers(s, 16, 4);
    expect(s.backend.send(frame(60))).toBe(0);
    s.rx.collect();
    offerBuffers(s, 1, 100);
    expect(s.backend.send(frame(60))).toBe(1);
    expect(receive(s).map((f) => f.bytes)).toEqual([frame(60)]);
  });

  it("too small for any frame, in a full ring: the frame is dropped, and smaller ones pass", () => {
    const s = setupNic({ size: 4, features: [MRG_RXBUF] });
    offerBuffers(s, 4, 100);
    expect(s.backend.send(frame(400), frame(300, 2))).toBe(2);
    expect(receive(s)).toMatchObject([{ bytes: frame(300, 2), numBuffers: 4 }]);
    expect(s.nic.counters.dropped.rxTooLarge).toBe(1);
  });

  it("chains of thousands of one-byte descriptors end, and cost no endless search", () => {
    const s = setupNic({ size: 256, features: [MRG_RXBUF, INDIRECT] });
    const elements = Array.from({ length: 256 }, (_, i) => ({ address: 0x30_0000 + i, length: 1, writable: true }));
    for (let i = 0; i < 200; i++) s.rx.add(elements, { indirect: true });
    s.rx.publish();
    // They would hold it, but a queue gives out so many descriptors at a time, and no more.
    expect(s.backend.send(frame(40_000), frame(60, 2))).toBe(2);
    expect(receive(s).map((f) => f.bytes.length)).toEqual([60]);
    expect(s.nic.counters.dropped.rxTooLarge).toBe(1);
  });

  it("lie in memory that is not touched while the transport keeps the NIC from it", () => {
    const s = setupNic({ asleep: true });
    s.core.barred = true;
    const before = s.memory.regions[0].u8.slice();
    s.start();
    expect(Buffer.compare(s.memory.regions[0].u8, before)).toBe(0);
    offerBuffers(s, 1, 100);
    expect(s.backend.send(frame(60))).toBe(0);
    s.core.barred = false;
    s.scheduler.run();
    expect([s.backend.resumed, s.backend.send(frame(60)), receive(s).length]).toEqual([1, 1, 1]);
  });

  it("malformed behind good ones: the frames in those are the driver's", () => {
    const s = setupNic();
    s.rx.add([{ length: 100, writable: true }]);
    s.rx.add([{ address: 0x7fff_0000, length: 100, writable: true }]);
    s.rx.publish();
    expect(s.backend.send(frame(60), frame(61, 2))).toBe(1);
    expect(receive(s).map((f) => f.bytes)).toEqual([frame(60)]);
    expect([s.core.status, s.nic.counters.rx.frames, s.nic.counters.rx.notifications]).toEqual([15 | 64, 1, 1]);
  });

  it("malformed: the queue stops, the frame waits, and goes once the driver has reset the device", () => {
    const s = setupNic();
    s.rx.setDescriptor(0, { address: 0x7fff_0000, length: 2000, flags: 2 });
    s.rx.setAvail(0, 0);
    s.rx.setAvailIndex(1);
    expect(s.backend.send(frame(60))).toBe(0);
    expect(s.core.status).toBe(15 | 64);
    expect(s.faults.map((f) => f.code)).toEqual(["queue-malformed"]);
    s.core.writeStatus(0);
    expect(s.backend.resumed).toBe(1);
    expect(s.backend.send(frame(60))).toBe(1);
    expect(s.nic.counters.dropped.rxNotReady).toBe(1);
  });
});

describe("a frame without a buffer", () => {
  it("waits, and the driver's kick brings it on", () => {
    const s = setupNic();
    expect(s.backend.send(frame(60))).toBe(0);
    expect(s.nic.counters.rx.stalls).toBe(1);
    offerBuffers(s, 1, 100);
    s.kick(RX);
    expect(s.backend.resumed).toBe(1);
    expect(s.backend.send(frame(60))).toBe(1);
    expect(receive(s).map((f) => f.bytes)).toEqual([frame(60)]);
  });

  it("that is all there is: kicks without frames that wait ask nobody", () => {
    const s = setupNic();
    offerBuffers(s, 4, 100);
    s.kick(RX);
    expect(s.backend.resumed).toBe(0);
  });

  it("and too few buffers for it waits while the driver goes on refilling, one by one", () => {
    const s = setupNic({ size: 64, features: [MRG_RXBUF] });
    for (let i = 0; i < 40; i++) {
      expect(s.backend.send(frame(4000))).toBe(0);
      offerBuffers(s, 1, 100);
      s.kick(RX);
      // A driver that answers what it got before, while it refills.
      for (let k = 0; k < 64; k++) s.kick(TX);
    }
    expect(s.backend.send(frame(4000))).toBe(0);
    offerBuffers(s, 1, 100);
    expect(s.backend.send(frame(4000))).toBe(1);
    expect(s.nic.counters.dropped.rxTooLarge).toBe(0);
  });

  it("and too few buffers for it is dropped in the end, when the driver lives but brings no more", () => {
    const s = setupNic({ size: 64, features: [MRG_RXBUF] });
    offerBuffers(s, 10, 100);
    expect(s.backend.send(frame(4000), frame(60, 2))).toBe(0);
    for (let i = 0; i < 255; i++) {
      transmit(s, frame(60));
      s.kick(TX);
      s.tx.collect();
      // A sender that tries again by itself brings no buffer either.
      if (i === 100) expect(s.backend.send(frame(4000), frame(60, 2))).toBe(0);
    }
    expect(s.backend.resumed).toBe(0);
    s.kick(TX);
    expect(s.backend.resumed).toBe(1);
    expect(s.backend.send(frame(4000), frame(60, 2))).toBe(2);
    expect(receive(s).map((f) => f.bytes)).toEqual([frame(60, 2)]);
    expect(s.nic.counters.dropped.rxTooLarge).toBe(1);
  });

  it("and no buffers at all waits for ever: the driver is asleep, not wrong", () => {
    const s = setupNic({ features: [MRG_RXBUF] });
    expect(s.backend.send(frame(60))).toBe(0);
    for (let i = 0; i < 10_000; i++) s.kick(TX);
    expect(s.backend.send(frame(60))).toBe(0);
    expect(s.nic.counters.dropped.rxTooLarge).toBe(0);
  });

  it("is dropped, and counted, while there is no driver", () => {
    const s = setupNic({ asleep: true });
    expect(s.backend.send(frame(60), frame(60))).toBe(2);
    expect(s.nic.counters.dropped.rxNotReady).toBe(2);
  });
});
