/** TCP between a guest and the host: RFC 9293 and the rules of mapping one flow of control onto another. */
import { describe, expect, test } from "vitest";
import { ACK, type Bench, bench, FIN, PSH, RST, SYN, segmentOf } from "../support/test-guest.ts";
import { DNS, GATEWAY, WORLD } from "../support/wire-test.ts";
import { open, openOn, SYN_OPTIONS, segments } from "./bench.ts";
import { TcpModel } from "./model.ts";

describe("opening", () => {
  test("the SYN is answered only when the host's socket stands", () => {
    const b = bench();
    b.guest.tcp({ fromPort: 50_000, toPort: 80, sequence: 999, flags: SYN, options: SYN_OPTIONS });
    expect(b.guest.got()).toEqual([]);
    expect(b.host.connections.map(({ address, port }) => `${address}:${port}`)).toEqual(["93.184.216.34:80"]);
    b.host.run();
    const answer = segmentOf(b.guest.one());
    expect(answer).toMatchObject({
      fromPort: 80,
      toPort: 50_000,
      acknowledged: 1000,
      flags: SYN | ACK,
      window: 65_535,
    });
    // MSS 1460, a NOP, scale 5: 1 MiB of window.
    expect([...answer.options]).toEqual([2, 4, 5, 180, 1, 3, 3, 5]);
  });

  test("a guest without window scaling gets none, and the MSS is the smaller one", () => {
    const b = bench();
    b.guest.tcp({ fromPort: 50_000, toPort: 80, sequence: 999, flags: SYN, options: Uint8Array.of(2, 4, 2, 24) });
    b.host.run();
    const answer = segmentOf(b.guest.one());
    expect([...answer.options]).toEqual([2, 4, 5, 180, 1, 1, 1, 1]);
    b.guest.accepts = 0;
    b.guest.tcp({ fromPort: 50_000, toPort: 80, sequence: 1000, acknowledged: answer.sequence + 1, flags: ACK });
    b.host.connections[0].send(new Uint8Array(1000));
    b.host.connections[0].read(1);
    expect(segments(b).map(({ data }) => data.length)).toEqual([536, 464]);
  });

  test.each([
    ["of a length that is not theirs", [2, 3, 5, 3, 4, 7, 0, 1]],
    ["of a kind that is not known, as long as these", [30, 4, 1, 244, 31, 3, 7, 1]],
    ["that say they are longer than the header", [1, 1, 1, 1, 2, 5, 1, 244]],
    ["behind the end of the list", [0, 2, 4, 1, 244, 3, 3, 7]],
    ["behind one that has no length", [8, 0, 3, 3, 7, 1, 1, 1]],
  ])("options %s are none: the MSS is 536, and no window is scaled (RFC 9293, 3.7.1)", (_, options) => {
    const b = bench();
    b.guest.accepts = 0;
    const ends = { fromPort: 50_000, toPort: 80 };
    b.guest.tcp({ ...ends, sequence: 999, flags: SYN, options: Uint8Array.from(options) });
    b.host.run();
    const answer = segmentOf(b.guest.one());
    expect([...answer.options.subarray(4)]).toEqual([1, 1, 1, 1]);
    b.guest.tcp({ ...ends, sequence: 1000, acknowledged: answer.sequence + 1, flags: ACK, window: 700 });
    b.host.connections[0].send(new Uint8Array(1000));
    b.host.connections[0].read(1);
    expect(segments(b).map(({ data }) => data.length)).toEqual([536]); // of 700 bytes, which are not scaled
  });

  test("a SYN that comes again opens nothing more, and is answered again", () => {
    const b = bench();
    const syn = { fromPort: 50_000, toPort: 80, sequence: 999, flags: SYN, options: SYN_OPTIONS };
    b.guest.tcp(syn);
    b.guest.tcp(syn);
    expect(b.host.connections.length).toBe(1);
    b.host.run();
    const first = segmentOf(b.guest.one());
    b.guest.tcp(syn);
    expect(segmentOf(b.guest.one())).toEqual(first);
  });

  test("the answer to a SYN is repeated until the guest acknowledges it", () => {
    const b = bench();
    b.guest.tcp({ fromPort: 50_000, toPort: 80, sequence: 999, flags: SYN });
    b.host.run();
    expect(b.guest.got().length).toBe(1);
    b.clock.advance(1000);
    expect(b.guest.got().length).toBe(1);
    b.clock.advance(180_000); // 3 minutes at least (RFC 9293, 3.8.3)
    expect(b.network.counters.tcpActive).toBe(1);
    b.clock.advance(60_000);
    expect(b.network.counters.tcpActive).toBe(0);
    expect(b.host.connections[0].destroyed).toBe("reset");
    expect(segments(b).at(-1)!.flags).toBe(RST | ACK);
  });

  test("a port nobody listens on is an RST", () => {
    const b = bench();
    b.host.verdict = () => "refused";
    b.guest.tcp({ fromPort: 50_000, toPort: 80, sequence: 999, flags: SYN });
    b.host.run();
    expect(segmentOf(b.guest.one())).toMatchObject({ flags: RST | ACK, acknowledged: 1000, fromPort: 80 });
    expect(b.network.counters.tcpActive).toBe(0);
  });

  test.each([
    ["network-unreachable", 0],
    ["host-unreachable", 1],
    ["timed-out", 1],
    ["prohibited", 13],
  ] as const)("a host that is %s is an ICMP unreachable, code %i, that quotes the SYN", (failure, code) => {
    const b = bench();
    b.host.verdict = () => failure;
    b.guest.tcp({ fromPort: 50_000, toPort: 80, sequence: 999, flags: SYN });
    b.host.run();
    const { protocol, payload, source } = b.guest.one();
    expect([protocol, source, payload[0], payload[1]]).toEqual([1, GATEWAY, 3, code]);
    // IPv4 from 10.0.2.15 to 93.184.216.34, TCP, 50000 to 80, sequence 999.
    expect([...payload.subarray(8, 10), payload[8 + 9]]).toEqual([0x45, 0, 6]);
    expect([...payload.subarray(8 + 12)]).toEqual([10, 0, 2, 15, 93, 184, 216, 34, 195, 80, 0, 80, 0, 0, 3, 231]);
  });

  test("a segment that belongs to no connection is an RST, but never in answer to one", () => {
    const b = bench();
    b.guest.hello();
    b.guest.tcp({ fromPort: 1, toPort: 2, sequence: 5, acknowledged: 77, flags: ACK });
    expect(segmentOf(b.guest.one())).toMatchObject({ flags: RST, sequence: 77 });
    b.guest.tcp({ fromPort: 1, toPort: 2, sequence: 5, flags: FIN });
    expect(segmentOf(b.guest.one())).toMatchObject({ flags: RST | ACK, sequence: 0, acknowledged: 6 });
    b.guest.tcp({ fromPort: 1, toPort: 2, sequence: 5, flags: RST });
    expect(b.guest.got()).toEqual([]);
  });

  test("a SYN flood stays within its bounds", () => {
    const b = bench({ limits: { tcpBacklog: 10, tcpConnections: 20 } });
    b.host.verdict = () => "silence";
    for (let port = 1; port <= 1000; port++) b.guest.tcp({ fromPort: port, toPort: 80, sequence: 1, flags: SYN });
    expect(b.host.connections.filter(({ over }) => !over).length).toBe(10);
    expect(b.network.counters.tables.tcp.evicted).toBe(990);
    b.network.detach();
    expect(b.host.connections.every(({ destroyed }) => destroyed === "reset")).toBe(true);
    expect(b.network.counters.tcpActive).toBe(0);
  });

  test("a connection cut as it opens leaves its place in the backlog", () => {
    const b = bench({ limits: { tcpBacklog: 4 } });
    for (let port = 1; port <= 12; port++) {
      b.guest.tcp({ fromPort: port, toPort: 80, sequence: 999, flags: SYN });
      b.host.run();
      const theirs = segmentOf(b.guest.got().at(-1)!).sequence + 1;
      // The host's socket has closed meanwhile, and the guest's data come with what opens the connection.
      b.host.connections[port - 1].handlers.closed();
      const data = Uint8Array.of(1);
      b.guest.tcp({ fromPort: port, toPort: 80, sequence: 1000, acknowledged: theirs, flags: ACK, data });
      b.guest.got();
    }
    expect([b.host.connections.length, b.network.counters.tables.tcp.evicted]).toEqual([12, 0]);
  });

  test("a wrong acknowledgement of our SYN is an RST, and the connection waits on", () => {
    const b = bench();
    b.guest.tcp({ fromPort: 50_000, toPort: 80, sequence: 999, flags: SYN });
    b.host.run();
    b.guest.got();
    b.guest.tcp({ fromPort: 50_000, toPort: 80, sequence: 1000, acknowledged: 12_345, flags: ACK });
    expect(segmentOf(b.guest.one())).toMatchObject({ flags: RST, sequence: 12_345 });
    expect(b.network.counters.tcpActive).toBe(1);
  });
});

describe("an acknowledgement", () => {
  test.each([-2, -1, 1])("of our SYN that is wrong by %i opens nothing (RFC 9293, 3.10.7.4)", (by) => {
    const b = bench();
    b.guest.tcp({ fromPort: 50_000, toPort: 80, sequence: 999, flags: SYN });
    b.host.run();
    const acknowledged = (segmentOf(b.guest.one()).sequence + 1 + by) >>> 0;
    b.guest.tcp({ fromPort: 50_000, toPort: 80, sequence: 1000, acknowledged, flags: ACK, data: Uint8Array.of(1) });
    expect(segments(b)).toMatchObject([{ flags: RST, sequence: acknowledged }]);
    b.host.run();
    expect(b.host.connections[0].receivedLength).toBe(0);
  });

  test("of a SYN that was not sent yet opens nothing", async () => {
    const forwards = [{ protocol: "tcp", hostPort: 8080, guestPort: 80 }] as const;
    const twin = bench({ forwards }); // draws the same numbers: nobody could know them else
    await twin.network.ready;
    twin.guest.hello();
    twin.host.dial(twin.host.listeners[0], 33_333);
    const { sequence } = segmentOf(twin.guest.one());
    const b = bench({ forwards });
    await b.network.ready;
    const host = b.host.dial(b.host.listeners[0], 33_333)!;
    b.guest.got();
    const ends = { destination: GATEWAY, fromPort: 80, toPort: 33_333 };
    b.guest.tcp({ ...ends, sequence: 500, acknowledged: sequence, flags: SYN | ACK });
    expect(host.paused).toBe(true);
    expect(segments(b).map(({ flags }) => flags)).toContain(SYN);
  });

  test("that says nothing new gets no answer (RFC 9293, 3.10.7.4)", () => {
    const { b, host, theirs, send } = open();
    host.send(new Uint8Array(100));
    host.read(1);
    send({ flags: ACK, sequence: 1000, acknowledged: theirs + 100 });
    b.guest.got();
    send({ flags: ACK, sequence: 1000, acknowledged: theirs + 50 });
    expect(b.guest.got()).toEqual([]);
  });
});

describe("data", () => {
  test("a burst of segments is one write and one ACK", () => {
    const { b, host, send } = open();
    send({ flags: ACK | PSH, sequence: 1000, data: Uint8Array.of(1, 2, 3) });
    expect(segmentOf(b.guest.one())).toMatchObject({ flags: ACK, acknowledged: 1003 });
    b.host.run();
    expect([...host.bytes]).toEqual([1, 2, 3]);
  });

  test("the window is what the host's socket still takes, and grows again when it has taken it", () => {
    const { b, host, send } = open({ limits: { tcpReceive: 4000 } });
    host.draining = false;
    send({ flags: ACK, sequence: 1000, data: new Uint8Array(1400) });
    expect(segmentOf(b.guest.one()).window).toBe(2600);
    send({ flags: ACK, sequence: 2400, data: new Uint8Array(1400) });
    send({ flags: ACK, sequence: 3800, data: new Uint8Array(1400) });
    expect(segments(b).at(-1)).toMatchObject({ acknowledged: 5000, window: 0 }); // 200 bytes were too many
    host.drain(100);
    expect(b.guest.got()).toEqual([]); // no silly window
    host.drain(3900);
    expect(segmentOf(b.guest.one())).toMatchObject({ acknowledged: 5000, window: 4000 });
  });

  test("what does not come in order is not kept, and acknowledged again", () => {
    const { b, host, send } = open();
    send({ flags: ACK, sequence: 1010, data: Uint8Array.of(9) });
    expect(segmentOf(b.guest.one())).toMatchObject({ acknowledged: 1000 });
    send({ flags: ACK, sequence: 1000, data: Uint8Array.of(1, 2) });
    send({ flags: ACK, sequence: 999, data: Uint8Array.of(7, 1, 2, 3) }); // one byte of it is new
    send({ flags: ACK, sequence: 1000, data: Uint8Array.of(1) });
    expect(segments(b).map(({ acknowledged }) => acknowledged)).toEqual([1002, 1003, 1003]);
    b.host.run();
    expect([...host.bytes]).toEqual([1, 2, 3]);
  });

  test("a guest that takes large segments gets them, in whole MSSs", () => {
    const { b, host } = open();
    host.send(new Uint8Array(65_000));
    host.read(1);
    const frames = b.guest.got();
    // 512 << 7 is the window: 65536.
    expect(frames.map(({ gsoType, gsoSize, payload }) => [gsoType, gsoSize, payload.length - 20])).toEqual([
      [1, 1460, 64_240],
      [0, 0, 760],
    ]);
    expect(segmentOf(frames[1]).flags).toBe(ACK | PSH);
  });

  test("a guest that takes checksums but no large segments gets segments with a partial checksum", () => {
    const { b, host } = open();
    b.guest.accepts = 1;
    host.send(new Uint8Array(3000));
    host.read(1);
    expect(b.guest.got().map(({ flags, payload }) => [flags, payload.length - 20])).toEqual([
      [1, 1460],
      [1, 1460],
      [1, 80],
    ]);
  });

  test("no more is sent than the guest's window takes, and its ACK lets the rest go", () => {
    const { b, host, theirs, send } = open();
    send({ flags: ACK, sequence: 1000, window: 16 }); // 2048 bytes
    host.send(new Uint8Array(10_000));
    host.read(1);
    expect(segments(b).map(({ data }) => data.length)).toEqual([1460]); // 588 more would be a silly segment
    send({ flags: ACK, sequence: 1000, acknowledged: theirs + 1460, window: 32 });
    expect(segments(b).map(({ data }) => data.length)).toEqual([2920]);
  });

  test("a window that an older segment says is passed over (RFC 9293, 3.10.7.4: SND.WL1)", () => {
    const { b, host, send } = open();
    send({ flags: ACK, sequence: 1000, data: new Uint8Array(100) });
    send({ flags: ACK, sequence: 1100 });
    send({ flags: ACK, sequence: 1000, data: new Uint8Array(200), window: 1 }); // was sent before the one in front of it
    b.guest.got();
    host.send(new Uint8Array(5000));
    host.read(1);
    expect(segments(b).map(({ data }) => data.length)).toEqual([5000]);
  });

  test("connections with much to say have turns of 8 frames", () => {
    const b = bench();
    const both = [openOn(b, 1), openOn(b, 2)];
    b.guest.accepts = 0;
    b.guest.room = 0;
    for (const { host } of both) {
      host.send(new Uint8Array(16 * 1460));
      host.read(1);
    }
    b.guest.makeRoom(100);
    b.guest.got();
    for (const { send, theirs } of both) send({ flags: ACK, sequence: 1000, acknowledged: theirs + 16 * 1460 });
    b.guest.room = 0;
    for (const { host } of both) {
      host.send(new Uint8Array(20 * 1460));
      host.read(1);
    }
    b.guest.makeRoom(100);
    const ports = segments(b).map(({ toPort }) => toPort);
    const turns = ports
      .join("")
      .match(/(.)\1*/g)
      ?.map((turn) => turn.length);
    expect(Math.max(...(turns ?? []))).toBe(8);
  });

  test("a closed window is probed, at growing intervals, for as long as the guest answers", () => {
    const { b, host, theirs, send } = open();
    send({ flags: ACK, sequence: 1000, window: 0 });
    host.send(new Uint8Array(100));
    host.read(1);
    expect(b.guest.got()).toEqual([]);
    for (let minute = 0; minute < 60; minute++) {
      b.clock.advance(60_000);
      for (const probe of segments(b)) {
        expect(probe).toMatchObject({ sequence: theirs - 1, flags: ACK });
        send({ flags: ACK, sequence: 1000, window: 0 });
      }
    }
    expect(b.network.counters.tcpProbes).toBeGreaterThan(60);
    expect(b.network.counters.tcpActive).toBe(1);
    send({ flags: ACK, sequence: 1000, window: 512 });
    expect(segmentOf(b.guest.one()).data.length).toBe(100);
  });

  test("a window that stays smaller than a segment is used in the end", () => {
    const { b, host, send } = open();
    send({ flags: ACK, sequence: 1000, window: 1 }); // 128 bytes
    host.send(new Uint8Array(1000));
    host.read(1);
    expect(b.guest.got()).toEqual([]);
    b.clock.advance(400);
    expect(segmentOf(b.guest.one()).data.length).toBe(128);
  });

  test("large segments are acknowledged together when the host has taken them", () => {
    const { b, send } = open();
    for (let i = 0; i < 3; i++) send({ flags: ACK, sequence: 1000 + i * 10_000, data: new Uint8Array(10_000) });
    expect(segments(b)).toEqual([]);
    b.host.run();
    expect(segments(b).map(({ acknowledged }) => acknowledged)).toEqual([31_000]);
  });

  test("large segments are acknowledged after 10 ms where the host takes nothing, and at a quarter of the window", () => {
    const { b, send } = open();
    send({ flags: ACK, sequence: 1000, data: new Uint8Array(10_000) });
    b.clock.advance(9);
    expect(segments(b)).toEqual([]);
    b.clock.advance(1);
    expect(segments(b).map(({ acknowledged }) => acknowledged)).toEqual([11_000]);
    send({ flags: ACK, sequence: 11_000, data: new Uint8Array(60_000) });
    send({ flags: ACK, sequence: 71_000, data: new Uint8Array(60_000) });
    expect(segments(b).map(({ acknowledged }) => acknowledged)).toEqual([131_000]);
  });

  test("a guest that uses its window is promised more, up to the limit", () => {
    const { b, send } = open();
    let sequence = 1000;
    const promised: number[] = [];
    for (let i = 0; i < 30; i++) {
      send({ flags: ACK, sequence, data: new Uint8Array(60_000) });
      sequence += 60_000;
      b.clock.advance(10); // the ACK of a large segment may wait for the host so long
      const window = segments(b).at(-1)!.window << 5;
      if (window > 0 && window !== promised.at(-1)) promised.push(window);
      if (window < 60_000) b.host.run(); // the host takes all there is
      b.guest.got();
    }
    expect(Math.max(...promised)).toBeGreaterThan(800_000);
    expect(Math.max(...promised)).toBeLessThanOrEqual(0x10_0000);
  });

  test("when memory is tight, nobody is promised more, and hosts are not read ahead", () => {
    const { b, host, theirs, send } = open({ limits: { tcpMemory: 1 } });
    for (let i = 0; i < 20; i++) {
      send({ flags: ACK, sequence: 1000 + i * 50_000, data: new Uint8Array(50_000) });
      b.host.run();
      for (const { window } of segments(b)) expect(window << 5).toBeLessThanOrEqual(0x1_0000);
    }
    expect(host.receivedLength).toBe(1_000_000);
    host.send(new Uint8Array(10));
    host.send(new Uint8Array(10));
    host.read(2);
    expect([host.paused, host.inbound.length]).toEqual([true, 1]);
    send({ flags: ACK, sequence: 1_001_000, acknowledged: theirs + 10 });
    expect(host.paused).toBe(false);
  });

  test("the host's socket is not read while too much waits for the guest", () => {
    const { b, host, theirs, send } = open({ limits: { tcpSend: 3000 } });
    host.send(new Uint8Array(2000));
    host.send(new Uint8Array(2000));
    host.send(new Uint8Array(2000));
    host.read(3);
    expect(host.paused).toBe(true);
    expect(host.inbound.length).toBe(1);
    b.guest.got();
    send({ flags: ACK, sequence: 1000, acknowledged: theirs + 4000 });
    expect(host.paused).toBe(false);
    b.host.run();
    expect(host.inbound.length).toBe(0);
  });

  test("what is not acknowledged is sent again, one frame until the guest answers", () => {
    const { b, host, theirs, send } = open();
    b.guest.loses = () => true;
    host.send(new Uint8Array(65_000));
    host.read(1);
    b.guest.loses = () => false;
    b.clock.advance(1000);
    expect(segments(b).map(({ sequence, data }) => [sequence, data.length])).toEqual([[theirs, 64_240]]);
    send({ flags: ACK, sequence: 1000, acknowledged: theirs + 64_240 });
    expect(segments(b).map(({ data }) => data.length)).toEqual([760]);
    expect(b.network.counters.tcpRetransmitted).toBe(1);
  });

  test("three duplicate ACKs are a loss", () => {
    const { b, host, theirs, send } = open();
    b.guest.accepts = 0;
    host.send(new Uint8Array(2920));
    host.read(1);
    b.guest.got();
    for (let i = 0; i < 3; i++) send({ flags: ACK, sequence: 1000 });
    expect(segments(b).map(({ sequence, data }) => [sequence, data.length])).toEqual([[theirs, 1460]]);
  });

  test("a guest that never answers is given up", () => {
    const { b, host } = open();
    host.send(new Uint8Array(10));
    host.read(1);
    b.clock.advance(3_600_000);
    expect(host.destroyed).toBe("reset");
    expect(segments(b).at(-1)!.flags).toBe(RST | ACK);
  });

  test("frames that find no room are sent when there is, built anew", () => {
    const { b, host, theirs } = open();
    b.guest.accepts = 0;
    b.guest.room = 2;
    host.send(new Uint8Array(5000));
    host.read(1);
    expect(segments(b).map(({ data }) => data.length)).toEqual([1460, 1460]);
    expect(b.network.counters.guestFull).toBe(1);
    b.clock.advance(30_000); // waiting is not losing: nothing is given up meanwhile
    expect(b.guest.got()).toEqual([]);
    b.guest.makeRoom(100);
    const rest = segments(b);
    expect(rest.map(({ data }) => data.length).reduce((a, n) => a + n)).toBeGreaterThanOrEqual(2080);
    expect(rest.some(({ sequence }) => sequence === theirs + 2920) || rest[0].sequence === theirs).toBe(true);
  });

  test("sequence numbers wrap", () => {
    const b = bench();
    const tcp = new TcpModel(b.guest, { initialSequence: 0xffff_fff0 });
    tcp.connect();
    b.host.run();
    tcp.process(segments(b));
    tcp.write(new Uint8Array(100).fill(5));
    tcp.output(30, 10);
    b.host.run();
    tcp.process(segments(b));
    expect(b.host.connections[0].receivedLength).toBe(100);
    expect(tcp.una).toBe(0x55); // 0xfffffff0 + 1 + 100
  });
});

describe("closing", () => {
  test("the guest ends first: the host may go on sending", () => {
    const { b, host, theirs, send } = open();
    send({ flags: ACK | FIN, sequence: 1000, data: Uint8Array.of(1) });
    b.host.run();
    expect(host.ended).toBe(true);
    expect([...host.bytes]).toEqual([1]);
    expect(segmentOf(b.guest.one())).toMatchObject({ flags: ACK, acknowledged: 1002 });
    host.send(Uint8Array.of(2, 3));
    host.finish();
    host.read(1);
    expect(segments(b).map(({ flags, data }) => [flags, data.length])).toEqual([
      [ACK | PSH, 2],
      [ACK | FIN, 0],
    ]);
    send({ flags: ACK, sequence: 1002, acknowledged: theirs + 3 });
    expect(b.network.counters.tcpActive).toBe(0);
    expect(host.destroyed).toBeUndefined();
    expect(host.over).toBe(true);
  });

  test("the host ends first: the guest may go on sending, and its last segment is acknowledged twice if need be", () => {
    const { b, host, theirs, send } = open();
    host.finish();
    host.read(1);
    expect(segmentOf(b.guest.one())).toMatchObject({ flags: ACK | FIN, sequence: theirs });
    send({ flags: ACK, sequence: 1000, acknowledged: theirs + 1, data: Uint8Array.of(1, 2) });
    send({ flags: ACK | FIN, sequence: 1002, acknowledged: theirs + 1 });
    b.host.run();
    expect([...host.bytes]).toEqual([1, 2]);
    expect(segments(b).at(-1)).toMatchObject({ acknowledged: 1003 });
    send({ flags: ACK | FIN, sequence: 1002, acknowledged: theirs + 1 });
    expect(segmentOf(b.guest.one())).toMatchObject({ flags: ACK, acknowledged: 1003 });
    b.clock.advance(2000);
    expect(b.network.counters.tcpActive).toBe(0);
  });

  test("a port is used again with a higher sequence number while the old connection is remembered", () => {
    const { b, host, theirs, send } = open();
    host.finish();
    host.read(1);
    send({ flags: ACK | FIN, sequence: 1000, acknowledged: theirs + 1 });
    b.host.run();
    b.guest.got();
    b.guest.tcp({ fromPort: 50_000, toPort: 80, sequence: 500, flags: SYN });
    expect(b.host.connections.length).toBe(1);
    b.guest.got();
    b.guest.tcp({ fromPort: 50_000, toPort: 80, sequence: 5000, flags: SYN });
    b.host.run();
    expect(b.host.connections.length).toBe(2);
    expect(segmentOf(b.guest.one())).toMatchObject({ flags: SYN | ACK, acknowledged: 5001 });
  });

  test("the guest's RST cuts the host's socket", () => {
    const { b, host, send } = open();
    send({ flags: RST, sequence: 1000 });
    expect(host.destroyed).toBe("reset");
    expect(b.network.counters.tcpActive).toBe(0);
    expect(b.guest.got()).toEqual([]);
  });

  test("an RST or a SYN that only lies in the window is answered by an ACK (RFC 5961)", () => {
    const { b, host, send } = open();
    send({ flags: RST, sequence: 1005 });
    expect(segmentOf(b.guest.one())).toMatchObject({ flags: ACK, acknowledged: 1000 });
    send({ flags: SYN, sequence: 1000 });
    expect(segmentOf(b.guest.one())).toMatchObject({ flags: ACK, acknowledged: 1000 });
    send({ flags: RST, sequence: 999 });
    expect(b.guest.got()).toEqual([]);
    expect(host.destroyed).toBeUndefined();
  });

  test("the host's socket is cut: the guest gets an RST it believes", () => {
    const { b, host, theirs } = open();
    host.send(new Uint8Array(10));
    host.read(1);
    b.guest.got();
    host.fail("reset");
    expect(segmentOf(b.guest.one())).toMatchObject({ flags: RST | ACK, sequence: theirs + 10, acknowledged: 1000 });
    expect(b.network.counters.tcpActive).toBe(0);
  });

  test("a hundred segments out of place are answered in a second, and a hundred in the next (RFC 5961, 7)", () => {
    const { b, send } = open();
    b.clock.advance(5000);
    const answered = (): number => {
      for (let i = 0; i < 150; i++) send({ flags: ACK, sequence: 900 });
      return b.guest.got().length;
    };
    expect(answered()).toBe(100);
    b.clock.advance(999);
    expect(answered()).toBe(0);
    b.clock.advance(1);
    expect(answered()).toBe(100);
  });

  test("ACKs that answer ACKs come to an end", () => {
    const { b, send } = open();
    let answers = 0;
    b.guest.onTake = () => {
      if (answers++ < 10_000) send({ flags: ACK, sequence: 900, acknowledged: 5 });
    };
    send({ flags: ACK, sequence: 900, acknowledged: 5 });
    b.clock.advance(10);
    expect(answers).toBeLessThan(150);
  });

  test("the guest leaves in the middle: no socket, no timer is left", () => {
    const { b, host, send } = open();
    host.draining = false;
    send({ flags: ACK, sequence: 1000, data: new Uint8Array(100) });
    host.send(new Uint8Array(1000));
    host.read(1);
    b.network.detach();
    expect(host.destroyed).toBe("reset");
    b.clock.advance(0);
    b.network.close();
    expect(b.clock.pending).toBe(0);
    host.handlers.data(new Uint8Array(5)); // a host that can't keep quiet
    host.handlers.closed();
  });

  test("a connection nobody uses is cut", () => {
    const { b, host } = open({ limits: { tcpIdleMs: 100_000 } });
    b.clock.advance(130_000);
    expect(host.destroyed).toBe("reset");
    expect(segmentOf(b.guest.one()).flags).toBe(RST | ACK);
  });
});

describe("where a guest may go", () => {
  const dial = (b: Bench, destination: number, port = 80): void => {
    b.guest.tcp({ fromPort: 50_000, toPort: port, sequence: 1, flags: SYN, destination });
    b.host.run();
  };

  test.each([
    [0x7f00_0001, "loopback"],
    [0x0000_0000, "0.0.0.0"],
    [0xa9fe_a9fe, "link-local"],
    [0xf000_0001, "reserved"],
  ])("not to %x (%s): prohibited", (destination) => {
    const b = bench({ hostLoopback: true });
    dial(b, destination);
    expect(b.host.connections).toEqual([]);
    expect([...b.guest.one().payload.subarray(0, 2)]).toEqual([3, 13]);
  });

  test.each([0xe000_0001, 0xffff_ffff, 0x0a00_02ff])("not to the group %x, and no word of it", (destination) => {
    const b = bench();
    dial(b, destination);
    expect(b.host.connections).toEqual([]);
    expect(b.guest.got()).toEqual([]);
  });

  test("not to another guest through the gateway", () => {
    const b = bench();
    dial(b, 0x0a00_0210);
    expect([...b.guest.one().payload.subarray(0, 2)]).toEqual([3, 1]);
  });

  test("not to the host's loopback, unless it was opened", () => {
    const closed = bench();
    dial(closed, GATEWAY);
    expect(segmentOf(closed.guest.one()).flags).toBe(RST | ACK);
    const opened = bench({ hostLoopback: true });
    dial(opened, GATEWAY, 8080);
    expect(opened.host.connections.map(({ address, port }) => [address, port])).toEqual([["127.0.0.1", 8080]]);
    expect(segmentOf(opened.guest.one())).toMatchObject({ flags: SYN | ACK, fromPort: 8080 });
  });

  test("to a name server of the world as to any host, and to the network's own for names only", () => {
    const b = bench();
    dial(b, WORLD, 53);
    expect(b.host.connections.map(({ address, port }) => [address, port])).toEqual([["93.184.216.34", 53]]);
    expect(segmentOf(b.guest.one()).flags).toBe(SYN | ACK);
    dial(b, DNS, 80);
    expect(segmentOf(b.guest.one()).flags).toBe(RST | ACK);
    expect(b.host.connections.length).toBe(1);
  });

  test("only where the user allows", () => {
    const asked: string[] = [];
    const b = bench({
      allow: (protocol, address, port) => {
        asked.push(`${protocol} ${address}:${port}`);
        return port === 443;
      },
    });
    dial(b, WORLD, 80);
    dial(b, WORLD, 443);
    expect(asked).toEqual(["tcp 93.184.216.34:80", "tcp 93.184.216.34:443"]);
    expect(b.host.connections.map(({ port }) => port)).toEqual([443]);
  });
});

describe("a link that loses frames", () => {
  test("each segment out of order is acknowledged, three at most; what came early is kept", () => {
    const { b, host, send } = open();
    const burst = [1100, 1200, 1300, 1400, 1500];
    for (const sequence of burst) send({ flags: ACK, sequence, data: new Uint8Array(100).fill(sequence & 255) });
    expect(segments(b).every(({ acknowledged }) => acknowledged === 1000)).toBe(true);
    send({ flags: ACK, sequence: 1000, data: new Uint8Array(100).fill(1) });
    expect(segmentOf(b.guest.one()).acknowledged).toBe(1600);
    b.host.run();
    expect(host.receivedLength).toBe(600);
    expect([0, 100, 200, 599].map((at) => host.bytes[at])).toEqual([1, 1100 & 255, 1200 & 255, 1500 & 255]);
  });

  test("of several gaps only what lies behind the first is kept", () => {
    const { b, host, send } = open();
    send({ flags: ACK, sequence: 1100, data: new Uint8Array(100).fill(2) });
    send({ flags: ACK, sequence: 1300, data: new Uint8Array(100).fill(4) });
    send({ flags: ACK, sequence: 1000, data: new Uint8Array(100).fill(1) });
    expect(segments(b).at(-1)!.acknowledged).toBe(1200);
    send({ flags: ACK | FIN, sequence: 1200, data: new Uint8Array(200).fill(3) });
    expect(segments(b).at(-1)!.acknowledged).toBe(1401);
    b.host.run();
    expect(host.receivedLength).toBe(400);
    expect(host.ended).toBe(true);
  });
});
