/** Half-closed connections (RFC 9293, 3.6): one end is over, and the other goes on for as long as it likes. */
import { describe, expect, test } from "vitest";
import { ACK, FIN, PSH, RST } from "../support/test-guest.ts";
import { open, segments } from "./bench.ts";

describe("the host ends first", () => {
  test("one FIN is sent, and none after the guest has acknowledged it, however long it uploads", () => {
    const { b, host, theirs, send } = open();
    host.finish();
    host.read(1);
    expect(segments(b).map(({ flags, sequence }) => [flags, sequence])).toEqual([[ACK | FIN, theirs]]);
    send({ flags: ACK, sequence: 1000, acknowledged: theirs + 1 });
    for (let minute = 0; minute < 180; minute++) {
      const data = new Uint8Array(100).fill(minute);
      send({ flags: ACK | PSH, sequence: 1000 + minute * 100, acknowledged: theirs + 1, data });
      b.host.run();
      expect(segments(b)).toMatchObject([{ flags: ACK, sequence: theirs + 1, acknowledged: 1100 + minute * 100 }]);
      b.clock.advance(60_000);
      expect(segments(b)).toEqual([]);
    }
    expect([host.receivedLength, host.destroyed, b.network.counters.tcpRetransmitted]).toEqual([18_000, undefined, 0]);
    send({ flags: ACK | FIN, sequence: 19_000, acknowledged: theirs + 1 });
    b.host.run();
    expect(segments(b)).toMatchObject([{ flags: ACK, acknowledged: 19_001 }]);
    expect([host.ended, host.destroyed, b.network.counters.tcpActive]).toEqual([true, undefined, 0]);
  });

  test("a guest that answers each frame at once gets one FIN", () => {
    const { b, host, theirs, send } = open();
    let frames = 0;
    b.guest.onTake = () => {
      if (++frames < 1000) send({ flags: ACK, sequence: 1000, acknowledged: theirs + 1 });
    };
    host.finish();
    host.read(1);
    b.clock.advance(2000);
    expect(segments(b).map(({ flags }) => flags)).toEqual([ACK | FIN]);
  });

  test("a FIN that carries the last data is not sent again either", () => {
    const { b, host, theirs, send } = open();
    host.send(Uint8Array.of(1, 2, 3));
    host.finish();
    b.guest.room = 0; // so that both are known when there is room
    host.read(1);
    b.guest.makeRoom(100);
    expect(segments(b).map(({ flags, data }) => [flags, data.length])).toEqual([[ACK | PSH | FIN, 3]]);
    send({ flags: ACK, sequence: 1000, acknowledged: theirs + 4 });
    send({ flags: ACK, sequence: 1000, acknowledged: theirs + 4, data: Uint8Array.of(1) });
    expect(segments(b).map(({ flags, sequence }) => [flags, sequence])).toEqual([[ACK, theirs + 4]]);
  });

  test("a FIN is sent again until it is acknowledged, with the data before it where those were not", () => {
    const { b, host, theirs, send } = open();
    host.send(Uint8Array.of(1, 2, 3));
    host.read(1);
    host.finish();
    host.read(1);
    expect(segments(b).map(({ flags, data }) => [flags, data.length])).toEqual([
      [ACK | PSH, 3],
      [ACK | FIN, 0],
    ]);
    b.clock.advance(1000);
    expect(segments(b).map(({ flags, sequence }) => [flags, sequence])).toEqual([[ACK | PSH | FIN, theirs]]);
    send({ flags: ACK, sequence: 1000, acknowledged: theirs + 3 });
    b.clock.advance(2000); // twice as long: nothing was measured meanwhile (RFC 6298, 5.5)
    expect(segments(b).map(({ flags, sequence }) => [flags, sequence])).toEqual([[ACK | FIN, theirs + 3]]);
    send({ flags: ACK, sequence: 1000, acknowledged: theirs + 4 });
    b.clock.advance(60_000);
    expect(segments(b)).toEqual([]);
  });
});

test("a FIN that is sent again to a guest with few buffers and a closed window comes with the question for the window", () => {
  const { b, host, theirs, send } = open();
  send({ flags: ACK, sequence: 1000, window: 0 });
  b.guest.room = 1;
  host.finish();
  host.read(1);
  expect(segments(b).map(({ flags }) => flags)).toEqual([ACK | FIN]);
  b.clock.advance(1000); // finds no room, and shows that the guest takes little at a time
  b.guest.makeRoom(10);
  expect(segments(b).map(({ flags, sequence }) => [flags, sequence])).toEqual([
    [ACK, theirs - 1],
    [ACK | FIN, theirs],
  ]);
});

describe("a FIN from the guest", () => {
  test("counts only when all bytes before it have come", () => {
    const { b, host, send } = open({ limits: { tcpReceive: 4000 } });
    host.draining = false;
    // 5000 bytes and a FIN, of which the window takes 4000: the rest is cut off, and the FIN with it.
    send({ flags: ACK | FIN, sequence: 1000, data: new Uint8Array(5000) });
    b.clock.advance(10);
    expect(segments(b).at(-1)).toMatchObject({ acknowledged: 5000, window: 0 });
    host.drain(4000);
    expect(host.ended).toBe(false);
    expect(segments(b).at(-1)).toMatchObject({ acknowledged: 5000, window: 4000 });
    send({ flags: ACK | FIN, sequence: 5000, data: new Uint8Array(1000) });
    expect(segments(b).at(-1)).toMatchObject({ acknowledged: 6001 });
    host.drain(1000);
    expect([host.ended, host.receivedLength]).toEqual([true, 5000]);
  });

  test("that fits the window to its last byte is taken with the data", () => {
    const { b, host, send } = open({ limits: { tcpReceive: 4000 } });
    host.draining = false;
    send({ flags: ACK | FIN, sequence: 1000, data: new Uint8Array(4000) });
    b.clock.advance(10);
    expect(segments(b).at(-1)!.acknowledged).toBe(5001);
    host.drain(4000);
    expect([host.ended, host.receivedLength]).toEqual([true, 4000]);
  });

  test("with a gap before it is none yet", () => {
    const { b, host, send } = open();
    send({ flags: ACK | FIN, sequence: 1100, data: new Uint8Array(100) });
    b.host.run();
    expect([host.ended, host.receivedLength, segments(b).at(-1)!.acknowledged]).toEqual([false, 0, 1000]);
  });
});

describe("TIME-WAIT", () => {
  test("begins anew with each FIN that comes again (RFC 9293, 3.10.7.8)", () => {
    const { b, host, theirs, send } = open();
    host.finish();
    host.read(1);
    const last = { flags: ACK | FIN, sequence: 1000, acknowledged: theirs + 1 };
    send(last);
    b.host.run();
    b.guest.got();
    for (let i = 0; i < 100; i++) {
      b.clock.advance(1900);
      send(last);
      expect(segments(b)).toMatchObject([{ flags: ACK, sequence: theirs + 1, acknowledged: 1001 }]);
    }
    b.clock.advance(1_000_000);
    send(last);
    expect(segments(b)).toMatchObject([{ flags: RST, sequence: theirs + 1 }]);
  });
});
