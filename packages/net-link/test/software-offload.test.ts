import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  connect,
  FrameBurst,
  GSO_ECN,
  GSO_NONE,
  GSO_TCPV4,
  GSO_TCPV6,
  HDR_F_NEEDS_CSUM,
  OFFLOAD_ALL,
  OFFLOAD_CSUM,
  OFFLOAD_TSO4,
  SoftwareOffload,
} from "../src/index.ts";
import { Collector } from "../src/testing/index.ts";
import { parseTcp, slowChecksum, type TcpFrame, tcpFrame } from "./support/packets.ts";
import { addInPieces } from "./support/pieces.ts";

const FIN = 1;
const PSH = 8;
const ACK = 0x10;
const CWR = 0x80;

function gsoBurst(f: TcpFrame, size: number, pieces: number[] = [], ecn = 0): FrameBurst {
  const burst = new FrameBurst(1, 1);
  const { bytes, l4, headers } = tcpFrame(f);
  addInPieces(burst, bytes, pieces);
  burst.endFrame(HDR_F_NEEDS_CSUM, (f.version === 4 ? GSO_TCPV4 : GSO_TCPV6) | ecn, headers, size, l4, 16);
  return burst;
}

function to(accepts: number): { target: Collector; offload: SoftwareOffload } {
  const target = new Collector();
  target.accepts = accepts;
  return { target, offload: new SoftwareOffload(target) };
}

/** Takes all of a burst, opening the target for `room` frames at a time. */
function takeAll(offload: SoftwareOffload, target: Collector, burst: FrameBurst, rooms: number[]): void {
  let next = 0;
  for (let turn = 0; next < burst.count || !offload.flush(); turn++) {
    if (turn > 100_000) throw new Error("no progress");
    target.room = rooms[turn % rooms.length];
    if (offload.flush() && next < burst.count) next = offload.take(burst, next);
  }
}

describe("frames the target accepts", () => {
  it("pass as they came, the whole burst at once", () => {
    const { target, offload } = to(OFFLOAD_ALL);
    const burst = gsoBurst({ version: 4, payload: new Uint8Array(5000) }, 1448);
    burst.addFrame(new Uint8Array(60));
    let seen: FrameBurst | undefined;
    const take = target.take.bind(target);
    target.take = (b, first) => {
      seen = b;
      return take(b, first);
    };
    expect(offload.take(burst, 0)).toBe(2);
    expect(seen).toBe(burst);
    expect(target.frames[0]).toMatchObject({ gsoType: GSO_TCPV4, gsoSize: 1448, flags: HDR_F_NEEDS_CSUM });
  });

  it("pass unsegmented between frames that have to be changed, in order", () => {
    const { target, offload } = to(0);
    const burst = new FrameBurst();
    burst.addFrame(new Uint8Array(60).fill(1));
    const { bytes, l4, headers } = tcpFrame({ version: 4, payload: new Uint8Array(300) });
    burst.addSegment(bytes, 0, bytes.length);
    burst.endFrame(HDR_F_NEEDS_CSUM, GSO_TCPV4, headers, 100, l4, 16);
    burst.addFrame(new Uint8Array(60).fill(2));
    expect(offload.take(burst, 0)).toBe(3);
    expect(target.bytes.map((b) => b.length)).toEqual([60, headers + 100, headers + 100, headers + 100, 60]);
  });
});

describe("a frame without checksum", () => {
  it("that the target leaves as the last of 65 stays with the sender, and no other does", () => {
    const { target, offload } = to(0);
    const burst = new FrameBurst();
    for (let i = 0; i < 65; i++) {
      burst.addSegment(new Uint8Array(60).fill(i), 0, 60);
      burst.endFrame(HDR_F_NEEDS_CSUM, GSO_NONE, 0, 0, 34, 16);
    }
    target.room = 64;
    expect(offload.take(burst, 0)).toBe(64);
    expect(offload.counters).toMatchObject({ checksummed: 64, kept: 0 });
    target.room = 1;
    expect(offload.take(burst, 64)).toBe(65);
    expect(target.bytes.map((bytes) => bytes[0])).toEqual(Array.from({ length: 65 }, (_, i) => i));
  });

  it("gets it where csumStart and csumOffset say", () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 20, maxLength: 200, size: "max" }),
        fc.nat(200),
        fc.nat(200),
        fc.array(fc.nat(60), { maxLength: 5 }),
        (bytes, a, b, pieces) => {
          const start = a % (bytes.length - 1);
          const offset = b % (bytes.length - 1 - start);
          const { target, offload } = to(0);
          const burst = new FrameBurst(1, 1);
          addInPieces(burst, bytes, pieces);
          burst.endFrame(HDR_F_NEEDS_CSUM, GSO_NONE, 0, 0, start, offset);
          expect(offload.take(burst, 0)).toBe(1);
          const expected = bytes.slice();
          const sum = slowChecksum(bytes.subarray(start)) || 0xffff;
          expected[start + offset] = sum >> 8;
          expected[start + offset + 1] = sum & 255;
          const got = target.bytes[0];
          // Of the two zeros, either will do where one of them is what was there.
          if (sum === 0xffff) expect([0, 0xffff]).toContain((got[start + offset] << 8) | got[start + offset + 1]);
          else expect(got).toEqual(expected);
          expect(target.frames[0].flags).toBe(0);
        },
      ),
    );
  });

  it("gets 0xffff for 0, which in UDP means there is none", () => {
    const { target, offload } = to(0);
    const bytes = new Uint8Array(42);
    bytes.fill(0xff, 34, 36);
    const burst = new FrameBurst();
    burst.addSegment(bytes, 0, 42);
    burst.endFrame(HDR_F_NEEDS_CSUM, GSO_NONE, 0, 0, 34, 6);
    offload.take(burst, 0);
    expect([...target.bytes[0].subarray(40)]).toEqual([0xff, 0xff]);
  });

  it("is not written to where the sender keeps it", () => {
    const { offload } = to(0);
    const { bytes, l4 } = tcpFrame({ version: 4, payload: new Uint8Array(30) });
    const before = bytes.slice();
    const burst = new FrameBurst();
    burst.addSegment(bytes, 0, bytes.length);
    burst.endFrame(HDR_F_NEEDS_CSUM, GSO_NONE, 0, 0, l4, 16);
    offload.take(burst, 0);
    expect(bytes).toEqual(before);
  });

  it.each([
    ["starts at the end", 60, 0],
    ["ends one byte past the end", 43, 16],
    ["lies far outside", 0xffff, 0xffff],
  ])("is dropped and counted when the checksum %s", (_, start, offset) => {
    const { target, offload } = to(0);
    const burst = new FrameBurst();
    burst.addSegment(new Uint8Array(60), 0, 60);
    burst.endFrame(HDR_F_NEEDS_CSUM, GSO_NONE, 0, 0, start, offset);
    burst.addFrame(new Uint8Array(60));
    expect(offload.take(burst, 0)).toBe(2);
    expect(target.frames.length).toBe(1);
    expect(offload.counters.droppedChecksum).toBe(1);
  });
});

describe("a large TCP frame", () => {
  const frame = fc.record({
    version: fc.constantFrom(4 as const, 6 as const),
    vlan: fc.option(fc.nat(4095), { nil: undefined }),
    ipOptions: fc.nat(10),
    tcpOptions: fc.nat(10),
    id: fc.nat(0xffff),
    sequence: fc.nat(0xffff_ffff),
    flags: fc.nat(0xff),
    payload: fc.uint8Array({ maxLength: 3000, size: "max" }),
  });

  it("becomes segments that put together are the frame, each with right checksums, however the target takes them", () => {
    fc.assert(
      fc.property(
        frame,
        fc.integer({ min: 20, max: 1500 }),
        fc.array(fc.nat(400), { maxLength: 8 }),
        fc.array(fc.nat(9), { minLength: 1, maxLength: 5 }).filter((rooms) => rooms.some((room) => room > 0)),
        (f, size, pieces, rooms) => {
          const { target, offload } = to(0);
          const burst = gsoBurst(f as TcpFrame, size, pieces);
          burst.addFrame(new Uint8Array(60).fill(7));
          takeAll(offload, target, burst, rooms);
          expect(target.bytes.pop()).toEqual(new Uint8Array(60).fill(7));
          const segments = target.frames.slice(0, -1).map((s) => parseTcp(s.bytes));
          expect(segments.length).toBe(Math.max(1, Math.ceil(f.payload.length / size)));
          let at = 0;
          segments.forEach((s, k) => {
            const last = k === segments.length - 1;
            expect(s.payload).toEqual(f.payload.slice(at, at + size));
            expect(s.sequence).toBe((f.sequence + at) % 2 ** 32);
            if (f.version === 4) expect(s.id).toBe((f.id + k) % 65536);
            expect(s.flags).toBe(f.flags & ~(last ? 0 : FIN | PSH) & ~(k === 0 ? 0 : CWR));
            expect(s.tcpOptions.length).toBe(f.tcpOptions * 4);
            expect(s.ipOptions.length).toBe(f.version === 4 ? f.ipOptions * 4 : 0);
            expect(s.link.length).toBe(f.vlan === undefined ? 14 : 18);
            at += size;
          });
          expect(offload.counters.segmented).toBe(1);
          expect(offload.counters.segments).toBe(segments.length);
        },
      ),
      { numRuns: 300 },
    );
  });

  it("leaves checksums to a target that fills them in, seeded with the pseudo header", () => {
    const { target, offload } = to(OFFLOAD_CSUM);
    offload.take(gsoBurst({ version: 4, payload: new Uint8Array(250).fill(9), flags: ACK }, 100), 0);
    expect(target.frames.map((f) => [f.flags, f.gsoType, f.csumStart, f.csumOffset])).toEqual([
      [HDR_F_NEEDS_CSUM, GSO_NONE, 34, 16],
      [HDR_F_NEEDS_CSUM, GSO_NONE, 34, 16],
      [HDR_F_NEEDS_CSUM, GSO_NONE, 34, 16],
    ]);
    for (const { bytes } of target.frames) {
      const sum = slowChecksum(bytes.subarray(34));
      bytes[50] = sum >> 8;
      bytes[51] = sum & 255;
      parseTcp(bytes);
    }
  });

  it("kept in part for a target that is full is right even if the target fills in no checksums by then", () => {
    const { target, offload } = to(OFFLOAD_CSUM);
    target.room = 1;
    const burst = gsoBurst({ version: 6, payload: new Uint8Array(250).fill(9) }, 100);
    expect(offload.take(burst, 0)).toBe(1);
    for (const view of burst.views) view.fill(0xee);
    expect(offload.counters.kept).toBe(2);
    target.accepts = 0;
    target.room = 9;
    expect(offload.flush()).toBe(true);
    expect(target.frames.slice(1).map((f) => parseTcp(f.bytes).payload.length)).toEqual([100, 50]);
  });

  it("goes on after what was kept of the one before", () => {
    const { target, offload } = to(0);
    target.room = 2;
    const burst = gsoBurst({ version: 4, payload: new Uint8Array(300) }, 100);
    burst.addFrame(new Uint8Array(60));
    expect(offload.take(burst, 0)).toBe(1);
    expect(offload.take(burst, 1)).toBe(1);
    target.room = 2;
    expect(offload.take(burst, 1)).toBe(2);
    expect(target.bytes.map((b) => b.length)).toEqual([154, 154, 154, 60]);
  });

  it("is segmented when it carries ECN and the target takes all but that", () => {
    const { target, offload } = to(OFFLOAD_CSUM | OFFLOAD_TSO4);
    offload.take(gsoBurst({ version: 4, payload: new Uint8Array(200), flags: ACK | CWR }, 100, [], GSO_ECN), 0);
    expect(target.bytes.map((b) => b[14 + 20 + 13])).toEqual([ACK | CWR, ACK]);
  });
});

describe("a large TCP frame that Linux's kernel segments", () => {
  const ADDRESSES = 22;
  const LAST_HOP = [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 99];

  /** Puts bytes between what is before `at` and the rest. */
  const insert = (bytes: Uint8Array, at: number, more: ArrayLike<number>): Uint8Array =>
    Uint8Array.from([...bytes.subarray(0, at), ...Array.from(more), ...bytes.subarray(at)]);

  /** Segments of a frame, with the headers before TCP, which must be `l4` bytes, and what is behind them. */
  function segments(bytes: Uint8Array, gsoType: number, size: number, l4: number, accepts = 0): Uint8Array[] {
    const { target, offload } = to(accepts);
    const burst = new FrameBurst(1, 1);
    addInPieces(burst, bytes, [100, 200]);
    burst.endFrame(HDR_F_NEEDS_CSUM, gsoType, l4 + 20, size, l4, 16);
    expect(offload.take(burst, 0)).toBe(1);
    return target.bytes;
  }

  /** The checksum of all of a TCP segment, with the pseudo header of the given addresses: 0 where it is right. */
  const check = (frame: Uint8Array, l4: number, addresses: ArrayLike<number>): number => {
    const length = frame.length - l4;
    return slowChecksum([...Array.from(addresses), 0, 6, length >> 8, length & 255, ...frame.subarray(l4)]);
  };

  const payload = Uint8Array.from({ length: 3000 }, (_, i) => i * 7);
  const joined = (frames: Uint8Array[], data: number): number[] => frames.flatMap((frame) => [...frame.subarray(data)]);

  it.each([
    [0, [0, 2, 0, 1]],
    [4, [0, 2, 4, 1]],
  ])(
    "over IPv6 with a stop on its way (routing header of type %i) is checked for its last hop",
    (_, [, units, type, left]) => {
      const plain = tcpFrame({ version: 6, payload });
      const { l4 } = plain;
      const routing = [6, units, type, left, 0, 0, 0, 0, ...LAST_HOP];
      const source = plain.bytes.subarray(ADDRESSES, ADDRESSES + 16);
      // The sender's sum is over the last hop, where the header has the first.
      const length = plain.bytes.length - l4;
      const seed = 0xffff - slowChecksum([...source, ...LAST_HOP, 0, 6, length >> 8, length & 255]);
      const bytes = insert(plain.bytes, l4, routing);
      bytes[20] = 43;
      bytes.set([seed >> 8, seed & 255], l4 + 24 + 16);
      const frames = segments(bytes, GSO_TCPV6, 1000, l4 + 24);
      expect(frames.map((frame) => frame.length)).toEqual([1098, 1098, 1098]);
      for (const frame of frames) {
        expect(check(frame, l4 + 24, [...source, ...LAST_HOP])).toBe(0);
        expect([...frame.subarray(l4, l4 + 24)]).toEqual(routing);
        expect((frame[18] << 8) | frame[19]).toBe(1044);
      }
      expect(joined(frames, l4 + 44)).toEqual([...payload]);
    },
  );

  it("over IPv4 by a route of its sender's is checked for where it ends", () => {
    const plain = tcpFrame({ version: 4, payload, ipOptions: 2 });
    const { l4 } = plain;
    const last = [10, 9, 9, 9];
    const source = plain.bytes.subarray(26, 30);
    plain.bytes.set([131, 7, 4, ...last, 0], 34); // loose source route (RFC 791, 3.1)
    const length = plain.bytes.length - l4;
    const seed = 0xffff - slowChecksum([...source, ...last, 0, 6, length >> 8, length & 255]);
    plain.bytes.set([seed >> 8, seed & 255], l4 + 16);
    const frames = segments(plain.bytes, GSO_TCPV4, 1000, l4);
    expect(frames.map((frame) => check(frame, l4, [...source, ...last]))).toEqual([0, 0, 0]);
    for (const frame of frames) expect(slowChecksum(frame.subarray(14, l4))).toBe(0);
  });

  it.each([1, 3, 8])("behind %i VLAN tags keeps them", (count) => {
    const plain = tcpFrame({ version: 4, payload });
    const tags = Array.from({ length: count }, (_, i) =>
      i === 0 && count > 1 ? [0x88, 0xa8, 0, 5] : [0x81, 0, 0, i],
    ).flat();
    const bytes = insert(plain.bytes, 12, tags);
    const l4 = plain.l4 + count * 4;
    const frames = segments(bytes, GSO_TCPV4, 1000, l4);
    expect(frames.length).toBe(3);
    for (const frame of frames) {
      expect([...frame.subarray(12, 14 + count * 4)]).toEqual([...tags, 8, 0]);
      parseTcp(Uint8Array.from([...frame.subarray(0, 12), ...frame.subarray(12 + count * 4)]));
    }
  });

  it.each([0, 1, 255])("with IPv6 extension headers of %i times 8 bytes and 8, twice, keeps them", (units) => {
    const plain = tcpFrame({ version: 6, payload });
    const { l4 } = plain;
    const header = (next: number): number[] => [next, units, ...new Array(6 + units * 8).fill(1)];
    const extensions = [...header(60), ...header(6)];
    const bytes = insert(plain.bytes, l4, extensions);
    bytes[20] = 0;
    const at = l4 + extensions.length;
    for (const accepts of [0, OFFLOAD_CSUM]) {
      const frames = segments(bytes, GSO_TCPV6, 1500, at, accepts);
      expect(frames.map((frame) => frame.length)).toEqual([at + 1520, at + 1520]);
      for (const frame of frames) {
        expect([...frame.subarray(l4, at)]).toEqual(extensions);
        expect(((frame[18] << 8) | frame[19]) - extensions.length).toBe(1520);
        if (accepts === 0) expect(check(frame, at, frame.subarray(ADDRESSES, ADDRESSES + 32))).toBe(0);
        else {
          const length = [1520 >> 8, 1520 & 255];
          const pseudo = slowChecksum([...frame.subarray(ADDRESSES, ADDRESSES + 32), 0, 6, ...length]);
          expect((frame[at + 16] << 8) | frame[at + 17]).toBe(0xffff - pseudo);
        }
      }
      expect(joined(frames, at + 20)).toEqual([...payload]);
    }
  });

  it("into 8,192 segments, the most, which 64 KiB with the smallest segments of Linux need, is; into more it is not", () => {
    const most = tcpFrame({ version: 4, payload: new Uint8Array(65_495) });
    const { target, offload } = to(0);
    const burst = new FrameBurst();
    burst.addSegment(most.bytes, 0, most.bytes.length);
    burst.endFrame(HDR_F_NEEDS_CSUM, GSO_TCPV4, 54, 8, 34, 16);
    expect(offload.take(burst, 0)).toBe(1);
    expect(target.frames.length).toBe(8187);
    expect(offload.counters).toMatchObject({ segments: 8187, droppedGsoSize: 0 });
    expect(parseTcp(target.bytes[8186]).payload.length).toBe(7);
    for (const [length, faults] of [
      [8192, 0],
      [8193, 1],
    ]) {
      const other = tcpFrame({ version: 4, payload: new Uint8Array(length) });
      const one = new FrameBurst();
      one.addSegment(other.bytes, 0, other.bytes.length);
      one.endFrame(HDR_F_NEEDS_CSUM, GSO_TCPV4, 54, 1, 34, 16);
      offload.take(one, 0);
      expect([length, offload.counters.droppedGsoSize]).toEqual([length, faults]);
    }
  });

  it("makes no more than 4 MiB of headers", () => {
    const plain = tcpFrame({ version: 6, payload: new Uint8Array(4000) });
    const header = (next: number): number[] => [next, 255, ...new Array(2046).fill(1)];
    const bytes = insert(plain.bytes, plain.l4, [...header(60), ...header(6)]);
    bytes[20] = 0;
    const at = plain.l4 + 4096;
    const most = Math.floor(0x40_0000 / (at + 20)); // 1005
    expect(segments(bytes.subarray(0, at + 20 + most), GSO_TCPV6, 1, at).length).toBe(most);
    expect(segments(bytes.subarray(0, at + 21 + most), GSO_TCPV6, 1, at).length).toBe(0);
  });

  it("a thousand times as long as it came leaves others their turn, and goes on after it", async () => {
    const [a, b] = [new Collector(), new Collector()];
    b.accepts = 0;
    const link = connect(a, b);
    const { bytes } = tcpFrame({ version: 4, payload: new Uint8Array(8000) });
    const burst = new FrameBurst();
    for (let i = 0; i < 8; i++) {
      burst.addSegment(bytes, 0, bytes.length);
      burst.endFrame(HDR_F_NEEDS_CSUM, GSO_TCPV4, 54, 1, 34, 16);
    }
    let next = 0;
    const went: number[] = [];
    const told = new Promise<void>((resolve) => {
      a.resume = () => {
        next = a.peer!.take(burst, next);
        went.push(next);
        if (next === 8) resolve();
      };
    });
    next = a.peer!.take(burst, 0);
    expect(next).toBe(3); // 16,384 frames and the rest of one
    await told;
    expect(went.at(-1)).toBe(8);
    expect(b.frames.length).toBe(64_000);
    expect(link.aToB).toMatchObject({ frames: 8, segments: 64_000, kept: 0 });
  });
});

describe("a frame that lies about itself", () => {
  const good = (): ReturnType<typeof tcpFrame> => tcpFrame({ version: 4, payload: new Uint8Array(200) });
  function drop(bytes: Uint8Array, gsoType: number, size: number, length = bytes.length): SoftwareOffload["counters"] {
    const { target, offload } = to(0);
    const burst = new FrameBurst();
    burst.addSegment(bytes, 0, length);
    burst.endFrame(HDR_F_NEEDS_CSUM, gsoType, 0xffff, size, 0xffff, 0xffff);
    burst.addFrame(new Uint8Array(60));
    expect(offload.take(burst, 0)).toBe(2);
    expect(target.bytes.map((b) => b.length)).toEqual([60]);
    return offload.counters;
  }

  it("with hdrLen, csumStart and csumOffset past its end is segmented all the same", () => {
    const { target, offload } = to(0);
    const burst = new FrameBurst();
    burst.addSegment(good().bytes, 0, 254);
    burst.endFrame(HDR_F_NEEDS_CSUM, GSO_TCPV4, 0xffff, 100, 0xffff, 0xffff);
    offload.take(burst, 0);
    expect(target.frames.map((f) => parseTcp(f.bytes).payload.length)).toEqual([100, 100]);
  });

  it.each([2, 3, 5, 0x7f, 0x80])("is dropped with the unknown GSO type %i", (type) => {
    expect(drop(good().bytes, type, 100).droppedGsoType).toBe(1);
  });

  it("is dropped with segments of no bytes, or too many of one", () => {
    expect(drop(good().bytes, GSO_TCPV4, 0).droppedGsoSize).toBe(1);
    expect(drop(tcpFrame({ version: 4, payload: new Uint8Array(60000) }).bytes, GSO_TCPV4, 1).droppedGsoSize).toBe(1);
    const huge = tcpFrame({ version: 4, payload: new Uint8Array(70000) }).bytes;
    expect(drop(huge, GSO_TCPV4, 0xffff).droppedGsoSize).toBe(1);
  });

  it("is dropped when it ends within its headers", () => {
    for (let length = 0; length < 54; length++) {
      expect(drop(good().bytes, GSO_TCPV4, 100, length).droppedHeaders).toBe(1);
    }
  });

  it.each<[string, number, number]>([
    ["another EtherType", 13, 6],
    ["IP version 6", 14, 0x65],
    ["an IP header of 16 bytes", 14, 0x44],
    ["an IP header past the end", 14, 0x4f],
    ["UDP", 23, 17],
    ["a fragment", 20, 0x20],
    ["a fragment's offset", 21, 1],
    ["a TCP header of 16 bytes", 46, 0x40],
  ])("is dropped when it is %s", (_, at, value) => {
    const { bytes } = good();
    bytes[at] = value;
    expect(drop(bytes, GSO_TCPV4, 100, at === 14 ? 60 : bytes.length).droppedHeaders).toBe(1);
  });

  it("is dropped as IPv6 with extension headers that don't end", () => {
    const { bytes } = tcpFrame({ version: 6, payload: new Uint8Array(2000) });
    bytes[20] = 0; // hop by hop, of 8 * 256 bytes
    bytes[54] = 60;
    bytes[55] = 255;
    expect(drop(bytes, GSO_TCPV6, 100).droppedHeaders).toBe(1);
  });

  it("counts once, though it is offered again after frames the target had no room for", () => {
    const { target, offload } = to(0);
    const burst = new FrameBurst();
    burst.addFrame(new Uint8Array(60));
    burst.addSegment(good().bytes, 0, 254);
    burst.endFrame(HDR_F_NEEDS_CSUM, GSO_TCPV4, 0, 0, 0, 0);
    target.room = 0;
    expect(offload.take(burst, 0)).toBe(0);
    expect(offload.counters.droppedGsoSize).toBe(0);
    target.room = 9;
    expect(offload.take(burst, 0)).toBe(2);
    expect(offload.counters.droppedGsoSize).toBe(1);
  });

  it("waits for its turn behind a frame that was taken in part", () => {
    const { target, offload } = to(0);
    target.room = 1;
    const burst = gsoBurst({ version: 4, payload: new Uint8Array(300) }, 100);
    burst.addSegment(new Uint8Array(60), 0, 60);
    burst.endFrame(0, GSO_TCPV4, 0, 100, 0, 0);
    expect(offload.take(burst, 0)).toBe(1);
    expect(offload.counters.droppedHeaders).toBe(0);
    target.room = 9;
    expect(offload.take(burst, 1)).toBe(2);
    expect(offload.counters.droppedHeaders).toBe(1);
    expect(target.frames.length).toBe(3);
  });

  it("of any bytes and any header never throws, nor reaches past itself", () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 200, size: "max" }),
        fc.boolean(),
        fc.nat(0xff),
        fc.nat(0xff),
        fc.nat(0xffff),
        fc.nat(300),
        fc.nat(300),
        (noise, mutate, flags, gsoType, size, start, offset) => {
          const bytes = mutate ? good().bytes : noise;
          for (let i = 0; mutate && i < noise.length; i++) if (noise[i] < 10) bytes[i] = noise[i];
          const { target, offload } = to(0);
          const burst = new FrameBurst();
          burst.addSegment(bytes, 0, bytes.length);
          burst.endFrame(flags, gsoType, size, size, start, offset);
          expect(offload.take(burst, 0)).toBe(1);
          for (const frame of target.bytes) expect(frame.length).toBeLessThanOrEqual(bytes.length);
        },
      ),
      { numRuns: 2000 },
    );
  });
});
