/** Full tables and idle connections: the least useful gives way and is told, and nobody who is of use is cut. */
import { describe, expect, test } from "vitest";
import { ACK, type Bench, bench, FIN, PSH, RST, SYN, segmentOf } from "../support/test-guest.ts";
import { DNS, WORLD } from "../support/wire-test.ts";
import { open, openOn, SYN_OPTIONS, segments } from "./bench.ts";

/** Where nobody ever answers. */
const SILENT = 0x0808_0808;

function silentBench(options: Parameters<typeof bench>[0] = {}): Bench {
  const b = bench(options);
  b.host.verdict = (address) => (address === "8.8.8.8" ? "silence" : "stands");
  return b;
}

function syn(b: Bench, fromPort: number, destination: number): void {
  b.guest.tcp({ fromPort, toPort: 80, sequence: 999, flags: SYN, options: SYN_OPTIONS, destination });
}

/** ICMP messages the guest has got: type, code, and the port of the SYN quoted. */
function icmp(b: Bench): number[][] {
  return b.guest
    .got()
    .filter(({ protocol }) => protocol === 1)
    .map(({ payload }) => [payload[0], payload[1], payload[28] * 256 + payload[29]]);
}

describe("connections that are being opened", () => {
  test("to hosts that never answer leave room for others, however many there are", () => {
    const b = silentBench();
    for (let port = 1; port <= 1500; port++) syn(b, port, SILENT);
    b.guest.got();
    openOn(b, 50_000, WORLD);
  });

  test("above the limit make the oldest attempt give way, and its guest is told that the host is unreachable", () => {
    const b = silentBench({ limits: { tcpBacklog: 2 } });
    for (const port of [1, 2, 3]) syn(b, port, SILENT);
    expect(icmp(b)).toEqual([[3, 1, 1]]);
    expect(b.host.connections.map(({ destroyed }) => destroyed)).toEqual(["reset", undefined, undefined]);
    syn(b, 2, SILENT); // its SYN again does not make it younger
    syn(b, 4, SILENT);
    expect(icmp(b)).toEqual([[3, 1, 2]]);
    expect(b.network.counters.tables.tcp).toEqual({ evicted: 2, expired: 0 });
  });

  test("are given up after 30 s, and the guest is told that the host is unreachable", () => {
    const b = silentBench();
    syn(b, 7, SILENT);
    b.clock.advance(15_000);
    syn(b, 7, SILENT);
    b.clock.advance(14_999);
    expect([b.guest.got(), b.network.counters.tcpActive]).toEqual([[], 1]);
    b.clock.advance(1);
    expect(icmp(b)).toEqual([[3, 1, 7]]);
    expect([b.host.connections[0].destroyed, b.network.counters.tcpActive]).toEqual(["reset", 0]);
    expect(b.network.counters.tables.tcp).toEqual({ evicted: 0, expired: 1 });
  });

  test("by forwards do not keep the guest from opening its own", async () => {
    const b = bench({ forwards: [{ protocol: "tcp", hostPort: 8080, guestPort: 80 }], limits: { tcpBacklog: 10 } });
    await b.network.ready;
    const dialled = Array.from({ length: 25 }, (_, i) => b.host.dial(b.host.listeners[0], 20_000 + i)!);
    expect(dialled.map(({ destroyed }) => destroyed)).toEqual([
      ...new Array(15).fill("reset"),
      ...new Array(10).fill(undefined),
    ]);
    b.guest.got();
    b.guest.hello(); // is sent the SYNs of those that wait
    openOn(b);
    for (let port = 1; port <= 100; port++) syn(b, port, SILENT);
    expect(dialled.filter(({ destroyed }) => destroyed === undefined).length).toBe(10);
  });
});

describe("a guest that was not heard of", () => {
  test("is asked for once a second, however many connections wait for it", async () => {
    const b = bench({ forwards: [{ protocol: "tcp", hostPort: 8080, guestPort: 80 }] });
    await b.network.ready;
    for (let i = 0; i < 256; i++) {
      b.host.dial(b.host.listeners[0], 20_000 + i);
      b.clock.advance(2);
    }
    expect(b.guest.got().map(({ etherType }) => etherType)).toEqual([0x0806]);
    b.clock.advance(9500); // 10 s after the first in all
    const { length } = b.guest.got();
    expect(length).toBeGreaterThan(2);
    expect(length).toBeLessThanOrEqual(10);
    b.guest.hello();
  });

  test("is asked for again by the next link, at once", async () => {
    const b = bench({ forwards: [{ protocol: "tcp", hostPort: 8080, guestPort: 80 }] });
    await b.network.ready;
    b.host.dial(b.host.listeners[0], 20_000);
    expect(b.guest.got().length).toBe(1);
    b.network.detach();
    b.network.attach(b.guest);
    b.host.dial(b.host.listeners[0], 20_000);
    expect(b.guest.got().length).toBe(1);
  });
});

describe("a full table", () => {
  /** Opens, and both end, the host first. */
  function serve(b: Bench, port: number): void {
    const { host, theirs, send } = openOn(b, port);
    host.finish();
    host.read(1);
    send({ flags: ACK | FIN, sequence: 1000, acknowledged: theirs + 1 });
    b.host.run();
    b.guest.got();
  }

  test("lets connections go that both sides have ended, and opens each new one at once", () => {
    const b = bench({ limits: { tcpConnections: 8 } });
    const { host } = openOn(b, 40_000);
    for (let port = 1; port <= 100; port++) serve(b, port);
    expect(b.host.connections.length).toBe(101);
    expect([host.destroyed, b.network.counters.tcpActive]).toEqual([undefined, 1]);
    expect(b.network.counters.tcpReset).toBe(0);
    expect(b.network.counters.tables.tcp.evicted).toBe(93);
  });

  test("of 1,500 short connections in a moment makes nobody wait, with the limits a network has by itself", () => {
    const b = bench();
    for (let port = 1; port <= 1500; port++) serve(b, port);
    expect(b.network.counters.tcpOpened).toBe(1500);
  });

  test("lets half-closed connections go before others, and those idle for longest first", () => {
    const told: string[] = [];
    const b = bench({
      limits: { tcpConnections: 3 },
      trace: (event) => {
        if (event.type === "entry-ended") told.push(`${event.table} ${event.why} ${event.entry}`);
      },
    });
    const one = openOn(b, 1);
    const two = openOn(b, 2);
    const three = openOn(b, 3);
    three.send({ flags: ACK | FIN, sequence: 1000 });
    b.host.run();
    b.guest.got();
    one.send({ flags: ACK, sequence: 1000, data: Uint8Array.of(1) });
    b.host.run();
    b.guest.got();
    const expectReset = (port: number): void => {
      const got = b.guest.got().map(segmentOf);
      expect(got.find(({ toPort }) => toPort === port)?.flags).toBe(RST | ACK);
    };
    syn(b, 4, WORLD);
    expectReset(3);
    expect([one, two, three].map(({ host }) => host.destroyed)).toEqual([undefined, undefined, "reset"]);
    b.host.run();
    b.guest.tcp({ fromPort: 4, toPort: 80, sequence: 1000, acknowledged: segments(b)[0].sequence + 1, flags: ACK });
    syn(b, 5, WORLD);
    expectReset(2);
    expect([one, two, three].map(({ host }) => host.destroyed)).toEqual([undefined, "reset", "reset"]);
    expect(told).toEqual(["tcp full 10.0.2.15:3 > 93.184.216.34:80", "tcp full 10.0.2.15:2 > 93.184.216.34:80"]);
  });
});

describe("idle connections", () => {
  test.each([
    [14_999, 0x1_0000],
    [15_000, 0x4_0000],
  ])(
    "give back memory, each 15 s after it was used: after %i ms others are promised up to %i bytes",
    (ms, promised) => {
      // Two rings of 16 KiB are too much.
      const b = bench({ limits: { tcpMemory: 0x4001 } });
      const promisedTo = (port: number): number => {
        openOn(b, port).send({ flags: ACK, sequence: 1000, data: Uint8Array.of(1) });
        b.host.run();
        return segments(b)[0].window << 5;
      };
      promisedTo(1);
      b.clock.advance(10_000);
      expect(promisedTo(2)).toBeLessThan(0x1_0000);
      b.clock.advance(ms);
      const now = promisedTo(3);
      expect([now <= promised, now > promised / 2]).toEqual([true, true]);
    },
  );

  test("that one side has ended are cut after 4 minutes (RFC 5382, REQ-5)", () => {
    const { b, host, send } = open();
    send({ flags: ACK | FIN, sequence: 1000 });
    b.host.run();
    b.guest.got();
    b.clock.advance(239_999);
    expect([host.destroyed, b.guest.got()]).toEqual([undefined, []]);
    b.clock.advance(1);
    expect(host.destroyed).toBe("reset");
    expect(segments(b)).toMatchObject([{ flags: RST | ACK, acknowledged: 1001 }]);
  });

  test("that one side has ended stay while the other sends", () => {
    const { b, host, theirs, send } = open();
    send({ flags: ACK | FIN, sequence: 1000 });
    for (let i = 0; i < 20; i++) {
      b.clock.advance(239_000);
      host.send(Uint8Array.of(i));
      host.read(1);
      send({ flags: ACK, sequence: 1001, acknowledged: theirs + i + 1 });
    }
    expect(host.destroyed).toBeUndefined();
  });

  test("are kept for 2 hours and 4 minutes (RFC 5382, REQ-5)", () => {
    const { b, host } = open();
    b.clock.advance(7_439_999);
    expect(host.destroyed).toBeUndefined();
    b.clock.advance(1);
    expect(host.destroyed).toBe("reset");
  });

  test("are kept for ever where the user says so", () => {
    const { b, host, send } = open({ limits: { tcpIdleMs: Number.POSITIVE_INFINITY } });
    b.clock.advance(86_400_000 * 365);
    send({ flags: ACK, sequence: 1000, data: Uint8Array.of(1) });
    b.host.run();
    expect([host.destroyed, host.receivedLength]).toEqual([undefined, 1]);
  });

  test("to the name server end after 10 s, and are cut when their guest does not end in a minute", async () => {
    const b = bench();
    b.guest.tcp({ fromPort: 9, toPort: 53, sequence: 999, flags: SYN, options: SYN_OPTIONS, destination: DNS });
    await Promise.resolve();
    await Promise.resolve();
    const { sequence } = segmentOf(b.guest.one());
    const ends = { fromPort: 9, toPort: 53, sequence: 1000, flags: ACK, destination: DNS };
    b.guest.tcp({ ...ends, acknowledged: sequence + 1 });
    b.clock.advance(10_000);
    expect(segmentOf(b.guest.one())).toMatchObject({ flags: ACK | FIN, sequence: sequence + 1 });
    b.guest.tcp({ ...ends, acknowledged: sequence + 2 });
    b.clock.advance(59_999);
    expect(b.network.counters.tcpActive).toBe(1);
    b.clock.advance(1);
    expect(segmentOf(b.guest.one()).flags).toBe(RST | ACK);
    expect(b.network.counters.tcpActive).toBe(0);
  });

  test("whose guest asks whether we are alive make the host ask too, as seldom", () => {
    const { b, host, send } = open();
    expect(host.keptAlive).toEqual([]);
    for (let i = 0; i < 3; i++) {
      b.clock.advance(75_000);
      send({ flags: ACK, sequence: 999 }); // a keep-alive (RFC 9293, 3.8.4): one before what comes next
      expect(segments(b)).toMatchObject([{ flags: ACK, acknowledged: 1000 }]);
    }
    expect(host.keptAlive).toEqual([75_000, 75_000, 75_000]);
    b.clock.advance(30_000);
    send({ flags: ACK, sequence: 999, data: Uint8Array.of(0) }); // the older form, with a byte
    send({ flags: ACK, sequence: 999, data: Uint8Array.of(0) });
    send({ flags: ACK, sequence: 1000 });
    for (const flags of [ACK | PSH, ACK | FIN]) {
      b.clock.advance(30_000);
      send({ flags, sequence: 999, data: Uint8Array.of(0).subarray(flags & FIN) }); // sent again, late: nobody asks
    }
    b.clock.advance(30_000);
    send({ flags: ACK, sequence: 998 });
    b.clock.advance(9999);
    send({ flags: ACK, sequence: 999 }); // too soon for a keep-alive
    expect(host.keptAlive).toEqual([75_000, 75_000, 75_000, 30_000]);
  });
});

test("a forward that has used every port of the gateway refuses, and does not look for one for ever", async () => {
  const b = bench({
    forwards: [{ protocol: "tcp", hostPort: 8080, guestPort: 80 }],
    limits: { tcpBacklog: 100_000, tcpConnections: 100_000 },
  });
  await b.network.ready;
  b.network.detach();
  b.network.attach({ accepts: 0, take: (burst) => burst.count, resume: () => {} });
  for (let port = 1025; port < 0x1_0000; port++) b.host.dial(b.host.listeners[0], port);
  const last = b.host.dial(b.host.listeners[0], 30_000); // in use: another one is found
  expect([last?.destroyed, b.network.counters.tcpActive]).toEqual([undefined, 64_512]);
  expect(b.host.dial(b.host.listeners[0], 30_000)).toBeUndefined();
  expect(b.network.counters.dropped.toGuest).toBe(1);
});
