/** How long a guest is waited for (RFC 6298), and what a segment sent again costs it. */
import { describe, expect, test } from "vitest";
import { ACK, type Bench, bench, PSH, RST, SYN, segmentOf } from "../support/test-guest.ts";
import { GATEWAY } from "../support/wire-test.ts";
import { open, SYN_OPTIONS, segments } from "./bench.ts";

/** When frames reach the guest, ms from now, for `ms`. */
function arrivals(b: Bench, ms: number): number[] {
  const times: number[] = [];
  for (let at = 1; at <= ms; at++) {
    b.clock.advance(1);
    for (let n = b.guest.got().length; n > 0; n--) times.push(at);
  }
  return times;
}

describe("before anything was measured", () => {
  test("a SYN goes out again after 1 s, then ever later, for 3 minutes at least (RFC 6298, 2.1; RFC 9293, 3.8.3)", async () => {
    const b = bench({ forwards: [{ protocol: "tcp", hostPort: 8080, guestPort: 80 }] });
    await b.network.ready;
    b.guest.hello();
    const host = b.host.dial(b.host.listeners[0], 33_333)!;
    expect(b.guest.got().length).toBe(1);
    expect(arrivals(b, 182_999)).toEqual([1000, 3000, 7000, 15_000, 31_000, 63_000, 123_000]);
    expect(host.destroyed).toBeUndefined();
    b.clock.advance(1);
    expect([host.destroyed, segmentOf(b.guest.one()).flags]).toEqual(["reset", RST | ACK]);
  });

  test("data goes out again after 1 s, though the SYN was answered at once", () => {
    const { b, host } = open();
    host.send(new Uint8Array(10));
    host.read(1);
    b.guest.got();
    expect(arrivals(b, 10_000)).toEqual([1000, 3000, 7000]);
  });
});

describe("a slow guest", () => {
  /** A connection whose SYN the guest answers after `ms`. */
  function slow(ms: number): ReturnType<typeof open> {
    const b = bench();
    b.guest.tcp({ fromPort: 50_000, toPort: 80, sequence: 999, flags: SYN, options: SYN_OPTIONS });
    b.host.run();
    const theirs = (segmentOf(b.guest.one()).sequence + 1) >>> 0;
    b.clock.advance(ms);
    b.guest.got();
    const send: ReturnType<typeof open>["send"] = (fields) =>
      b.guest.tcp({ fromPort: 50_000, toPort: 80, acknowledged: theirs, window: 512, ...fields });
    send({ flags: ACK, sequence: 1000 });
    return { b, host: b.host.connections[0], theirs, send };
  }

  test("is measured by its answer to our SYN (RFC 6298, 2.2: three times as long, for the variation is half)", () => {
    const { b, host } = slow(800);
    host.send(new Uint8Array(10));
    host.read(1);
    b.guest.got();
    expect(arrivals(b, 8000)).toEqual([2400, 7200]);
  });

  test("that let the SYN's time-out run out gets 3 s, and that SYN is no measure (RFC 6298, 3 and 5.7)", () => {
    const { b, host } = slow(1100);
    host.send(new Uint8Array(10));
    host.read(1);
    b.guest.got();
    expect(arrivals(b, 10_000)).toEqual([3000, 9000]);
  });

  test("is measured by each round trip (RFC 6298, 2.3)", () => {
    const { b, host, theirs, send } = slow(800); // SRTT 800, RTTVAR 400
    let acknowledged = theirs;
    for (let i = 0; i < 2; i++) {
      host.send(new Uint8Array(10));
      host.read(1);
      acknowledged += 10;
      b.clock.advance(1600);
      send({ flags: ACK, sequence: 1000, acknowledged });
    }
    // RTTVAR 500 and SRTT 900, then RTTVAR 550 and SRTT 987.5: 3187.5 ms.
    host.send(new Uint8Array(10));
    host.read(1);
    b.guest.got();
    expect(arrivals(b, 4000)).toEqual([3188]);
  });

  test("whose answers are fast again gets 1 s again, and never less (RFC 6298, 2.4)", () => {
    const { b, host, theirs, send } = slow(800);
    for (let i = 1; i <= 40; i++) {
      host.send(new Uint8Array(10));
      host.read(1);
      send({ flags: ACK, sequence: 1000, acknowledged: theirs + 10 * i });
    }
    host.send(new Uint8Array(10));
    host.read(1);
    b.guest.got();
    expect(arrivals(b, 1500)).toEqual([1000]);
  });

  test("is not measured by what was sent twice, and waited for as long as at last (Karn; RFC 6298, 5.5)", () => {
    const { b, host, theirs, send } = open();
    host.send(new Uint8Array(10));
    host.read(1);
    b.guest.got();
    expect(arrivals(b, 3500)).toEqual([1000, 3000]);
    send({ flags: ACK, sequence: 1000, acknowledged: theirs + 10 });
    host.send(new Uint8Array(10));
    host.read(1);
    b.guest.got();
    expect(arrivals(b, 4500)).toEqual([4000]);
    send({ flags: ACK, sequence: 1000, acknowledged: theirs + 20 });
    host.send(new Uint8Array(10)); // sent once, and acknowledged at once: that is a measure
    host.read(1);
    send({ flags: ACK, sequence: 1000, acknowledged: theirs + 30 });
    host.send(new Uint8Array(10));
    host.read(1);
    b.guest.got();
    expect(arrivals(b, 1500)).toEqual([1000]);
  });

  test("whose NIC has no buffers is not asked again: it has seen nothing", async () => {
    const b = bench({ forwards: [{ protocol: "tcp", hostPort: 8080, guestPort: 80 }] });
    await b.network.ready;
    b.guest.hello();
    b.guest.room = 0;
    b.host.dial(b.host.listeners[0], 33_333);
    b.clock.advance(100_000);
    b.guest.makeRoom(10);
    const { sequence, flags } = segmentOf(b.guest.one());
    expect(flags).toBe(SYN);
    b.clock.advance(900);
    const ends = { destination: GATEWAY, fromPort: 80, toPort: 33_333 };
    b.guest.tcp({ ...ends, sequence: 500, acknowledged: sequence + 1, flags: SYN | ACK, options: SYN_OPTIONS });
    expect(segments(b).map(({ flags }) => flags)).toEqual([ACK]);
    b.host.connections[0].send(new Uint8Array(10));
    b.host.connections[0].read(1);
    b.guest.got();
    expect(arrivals(b, 3000)).toEqual([2700]); // the round trip was 900 ms, and began when it was taken
  });

  test("is measured though most of what is sent finds no room at first", () => {
    const { b, host, theirs, send } = open();
    b.guest.accepts = 0;
    b.guest.room = 1;
    host.send(new Uint8Array(14_600));
    host.read(1);
    for (let i = 1; i <= 9; i++) {
      b.clock.advance(900);
      b.guest.makeRoom(1);
      send({ flags: ACK, sequence: 1000, acknowledged: theirs + 1460 * i });
    }
    b.guest.makeRoom(10);
    b.guest.got();
    expect(arrivals(b, 999)).toEqual([]);
    const [first] = arrivals(b, 5000);
    expect(first + 999).toBeGreaterThan(1500);
  });
});

test("a guest that speaks, but never acknowledges what it is sent again and again, is given up (RFC 9293, 3.8.3)", () => {
  const { b, host, send } = open();
  host.send(new Uint8Array(10));
  host.read(1);
  let minutes = 0;
  for (; host.destroyed === undefined && minutes < 60; minutes++) {
    b.clock.advance(60_000);
    if (host.destroyed === undefined) send({ flags: ACK, sequence: 1000 });
  }
  expect([host.destroyed, segments(b).at(-1)!.flags]).toEqual(["reset", RST | ACK]);
  expect(minutes).toBeGreaterThanOrEqual(2); // 100 s at least
});

describe("a lost segment", () => {
  test("is sent again once for three duplicate ACKs, however many follow (RFC 5681, 3.2)", () => {
    const { b, host, theirs, send } = open();
    b.guest.accepts = 0;
    host.send(new Uint8Array(14_600));
    host.read(1);
    expect(segments(b).length).toBe(10);
    for (let i = 0; i < 2; i++) send({ flags: ACK, sequence: 1000 });
    expect(segments(b)).toEqual([]);
    send({ flags: ACK, sequence: 1000 });
    expect(segments(b).map(({ sequence, data }) => [sequence, data.length])).toEqual([[theirs, 1460]]);
    for (let i = 0; i < 20; i++) send({ flags: ACK, sequence: 1000 });
    expect(segments(b)).toEqual([]);
  });

  test("once acknowledged leaves nothing behind: the window is used as before", () => {
    const { b, host, theirs, send } = open();
    b.guest.accepts = 0;
    host.send(new Uint8Array(100));
    host.read(1);
    b.clock.advance(1000);
    b.guest.got();
    send({ flags: ACK, sequence: 1000, acknowledged: theirs + 100 });
    host.send(new Uint8Array(7300));
    host.read(1);
    expect(segments(b).map(({ data }) => data.length)).toEqual([1460, 1460, 1460, 1460, 1460]);
  });

  test("is none for ACKs that change the window, carry data, or come when nothing is in flight", () => {
    const { b, host, theirs, send } = open();
    for (let i = 0; i < 5; i++) send({ flags: ACK, sequence: 1000 });
    host.send(new Uint8Array(100));
    host.read(1);
    b.guest.got();
    for (let i = 0; i < 5; i++) send({ flags: ACK, sequence: 1000, window: 600 + i });
    for (let i = 0; i < 5; i++) send({ flags: ACK | PSH, sequence: 1000 + i, data: Uint8Array.of(i), window: 604 });
    expect(segments(b).filter(({ sequence }) => sequence === theirs)).toEqual([]);
  });
});

describe("a closed window", () => {
  test("is asked about ever later, and when it closes again as soon as at first (RFC 9293, 3.8.6.1)", () => {
    const { b, host, theirs, send } = open();
    send({ flags: ACK, sequence: 1000, window: 0 });
    host.send(new Uint8Array(100));
    host.read(1);
    expect(arrivals(b, 20_000)).toEqual([1000, 3000, 7000, 15_000]);
    send({ flags: ACK, sequence: 1000, window: 512 });
    send({ flags: ACK, sequence: 1000, acknowledged: theirs + 100, window: 0 });
    host.send(new Uint8Array(100));
    host.read(1);
    b.guest.got();
    expect(arrivals(b, 4000)).toEqual([1000, 3000]);
  });

  test("is not asked about any more when it has opened before the question found room", () => {
    const { b, host, theirs, send } = open();
    send({ flags: ACK, sequence: 1000, window: 0 });
    host.send(new Uint8Array(100));
    host.read(1);
    b.guest.room = 0;
    b.clock.advance(1000);
    send({ flags: ACK, sequence: 1000, window: 512 });
    b.guest.makeRoom(10);
    expect(segments(b).map(({ sequence, data }) => [sequence, data.length])).toEqual([[theirs, 100]]);
  });
});

describe("bytes for the guest", () => {
  test("are counted once, however often they are built or sent", () => {
    const { b, host, theirs, send } = open();
    b.guest.accepts = 0;
    b.guest.room = 3;
    host.send(new Uint8Array(14_600));
    host.read(1);
    for (let i = 0; i < 9; i++) b.guest.makeRoom(1);
    host.finish();
    host.read(1);
    b.guest.makeRoom(0);
    b.clock.advance(5000);
    b.guest.makeRoom(100);
    b.clock.advance(5000);
    send({ flags: ACK, sequence: 1000, acknowledged: theirs + 14_601 });
    expect(b.network.counters.tcpBytesToGuest).toBe(14_600);
  });

  test("cost a guest with few buffers as many frames as it takes, and twice as many to find that out", () => {
    const { b, host, theirs, send } = open();
    b.guest.accepts = 0;
    let offered = 0;
    const take = b.guest.take.bind(b.guest);
    b.guest.take = (burst, first) => {
      offered += burst.count;
      return take(burst, first);
    };
    b.guest.room = 0;
    host.send(new Uint8Array(65_536));
    host.read(1);
    offered = 0;
    let got = 0;
    let acknowledged = theirs;
    while (acknowledged < theirs + 65_536) {
      b.guest.makeRoom(2);
      const taken = segments(b);
      got += taken.length;
      for (const { data } of taken) acknowledged += data.length;
      send({ flags: ACK, sequence: 1000, acknowledged });
    }
    expect(got).toBe(45);
    expect(offered).toBeLessThanOrEqual(3 * got);
  });
});
