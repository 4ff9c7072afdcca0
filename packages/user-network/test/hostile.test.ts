/** Whatever a guest sends: nothing is thrown, nothing grows without bound, the rest goes on. */

import { FrameBurst } from "@virtio-ts/net-link";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ACK, bench, SYN, segmentOf } from "./support/test-guest.ts";
import { GATEWAY_MAC, GUEST_MAC, ipv4Frame, tcpFrame, udpFrame, WORLD } from "./support/wire-test.ts";

const settled = async (): Promise<void> => {
  for (let i = 0; i < 5; i++) await Promise.resolve();
};

describe("hostile guests", () => {
  test("any bytes, in any pieces, with any flags", async () => {
    const b = bench({ hostLoopback: true });
    b.host.names = (query) => query;
    const frame = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      // A header that gets it in, and anything behind.
      fc.uint8Array({ maxLength: 120 }).map((tail) => Uint8Array.from([...GATEWAY_MAC, ...GUEST_MAC, 8, 0, ...tail])),
      fc.uint8Array({ maxLength: 60 }).map((tail) => Uint8Array.from([...GATEWAY_MAC, ...GUEST_MAC, 8, 6, ...tail])),
      fc
        .record({
          payload: fc.uint8Array({ maxLength: 100 }),
          protocol: fc.constantFrom(1, 6, 17),
          fragment: fc.constantFrom(0, 0, 0x2000, 5),
        })
        .map(({ payload, protocol, fragment }) => ipv4Frame(payload, { protocol, fragment })),
      fc
        .record({
          fromPort: fc.nat(3),
          toPort: fc.nat(3),
          sequence: fc.nat(),
          acknowledged: fc.nat(),
          flags: fc.nat(63),
          dataOffset: fc.nat(255),
          options: fc.uint8Array({ maxLength: 40 }),
        })
        .map((fields) => tcpFrame({ ...fields, destination: WORLD, partial: true })),
      fc
        .record({ data: fc.uint8Array({ maxLength: 400 }), port: fc.constantFrom(53, 67, 9) })
        .map(({ data, port }) => udpFrame(68, port, data, { destination: port === 53 ? 0x0a000203 : 0x0a000202 })),
    );
    const sent = fc.tuple(frame, fc.nat(3), fc.nat(255), fc.nat(0xffff), fc.array(fc.nat(40), { maxLength: 4 }));
    await fc.assert(
      fc.asyncProperty(sent, async ([bytes, flags, gsoType, gsoSize, pieces]) => {
        const burst = new FrameBurst(1, 1);
        let at = 0;
        for (const piece of [...pieces, bytes.length]) {
          const n = Math.min(piece, bytes.length - at);
          burst.addSegment(bytes, at, n);
          at += n;
        }
        burst.endFrame(flags, gsoType, gsoSize, gsoSize, gsoSize, gsoSize);
        expect(b.network.take(burst, 0)).toBe(1);
        b.host.run();
        await settled();
        b.guest.got(); // each was checked as it came
        b.clock.advance(50);
      }),
      { numRuns: 3000 },
    );
    b.network.close();
    expect(b.clock.pending).toBe(0);
  });

  test("an empty frame, and an empty burst", () => {
    const b = bench();
    const burst = new FrameBurst();
    expect(b.network.take(burst, 0)).toBe(0);
    burst.endFrame();
    expect(b.network.take(burst, 0)).toBe(1);
    expect(b.network.counters.dropped.malformed).toBe(1);
  });

  test("TCP options that lie about their length end the list", () => {
    for (const options of [
      [2, 0],
      [2, 1, 0, 0],
      [3, 99, 1, 0],
      [2, 4],
      [1, 1, 1, 2],
      [255, 255, 255, 255],
    ]) {
      const b = bench();
      const padded = Uint8Array.from([...options, 0, 0, 0, 0].slice(0, Math.ceil(options.length / 4) * 4));
      b.guest.tcp({ fromPort: 1, toPort: 80, sequence: 0, flags: SYN, options: padded });
      b.host.run();
      expect(segmentOf(b.guest.one()).flags).toBe(SYN | ACK);
    }
  });

  test("an MSS of nothing, a window of one byte, a scale past the largest", () => {
    const b = bench();
    b.guest.accepts = 0;
    b.guest.tcp({ fromPort: 1, toPort: 80, sequence: 0, flags: SYN, options: Uint8Array.of(2, 4, 0, 0, 3, 3, 255, 0) });
    b.host.run();
    const { sequence } = segmentOf(b.guest.one());
    b.guest.tcp({ fromPort: 1, toPort: 80, sequence: 1, acknowledged: sequence + 1, flags: ACK, window: 1 });
    const [tcp] = b.host.connections;
    tcp.send(new Uint8Array(100_000));
    tcp.read(1);
    const lengths = b.guest.got().map((frame) => segmentOf(frame).data.length);
    expect(Math.min(...lengths)).toBe(88);
    expect(lengths.length).toBe(Math.floor((1 << 14) / 88)); // a scale of 14, whatever was said
  });

  test("a guest that acknowledges what was never sent is told where we are", () => {
    const b = bench();
    b.guest.tcp({ fromPort: 1, toPort: 80, sequence: 0, flags: SYN });
    b.host.run();
    const { sequence } = segmentOf(b.guest.one());
    b.guest.tcp({ fromPort: 1, toPort: 80, sequence: 1, acknowledged: sequence + 1, flags: ACK });
    b.guest.tcp({ fromPort: 1, toPort: 80, sequence: 1, acknowledged: sequence + 1000, flags: ACK });
    expect(segmentOf(b.guest.one())).toMatchObject({ sequence: sequence + 1, acknowledged: 1, flags: ACK });
  });

  test("a peer that takes a strange number of frames", () => {
    for (const answer of [-1, Number.NaN, 1e9, 0.5]) {
      const b = bench();
      b.guest.take = () => answer;
      for (let i = 0; i < 2000; i++)
        b.guest.send(ipv4Frame(Uint8Array.of(8, 0, 0xf7, 0xff, 0, 0, 0, 0), { protocol: 1 }));
      expect(b.network.counters.framesToGuest).toBe(answer === 1e9 ? 2000 : 0);
      if (answer !== 1e9) expect(b.network.counters.dropped.toGuest).toBeGreaterThan(1400);
    }
  });

  test("a guest whose NIC is never ready costs a bounded queue", () => {
    const b = bench();
    b.guest.room = 0;
    for (let i = 0; i < 5000; i++)
      b.guest.send(ipv4Frame(Uint8Array.of(8, 0, 0xf7, 0xff, 0, 0, 0, 0), { protocol: 1 }));
    expect(b.guest.frames).toEqual([]);
    b.guest.makeRoom(100_000);
    expect(b.guest.got().length).toBe(512);
    expect(b.network.counters.dropped.toGuest).toBe(5000 - 512);
  });

  test("a guest that resumes within each take it refuses does not keep us for ever", () => {
    const b = bench();
    let calls = 0;
    b.guest.take = (_burst, first) => {
      calls++;
      b.network.resume();
      return first;
    };
    b.guest.send(ipv4Frame(Uint8Array.of(8, 0, 0xf7, 0xff, 0, 0, 0, 0), { protocol: 1 }));
    expect(calls).toBeLessThan(100);
  });

  test("a guest that leaves within take", () => {
    const b = bench();
    b.guest.onTake = () => b.network.detach();
    b.guest.send(ipv4Frame(Uint8Array.of(8, 0, 0xf7, 0xff, 0, 0, 0, 0), { protocol: 1 }));
    expect(b.guest.got().length).toBe(1);
    b.guest.send(ipv4Frame(Uint8Array.of(8, 0, 0xf7, 0xff, 0, 0, 0, 0), { protocol: 1 }));
    expect(b.guest.got()).toEqual([]);
  });
});
