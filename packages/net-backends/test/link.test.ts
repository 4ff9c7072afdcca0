import { describe, expect, it } from "vitest";
import { connect, FrameBurst, GSO_TCPV4, HDR_F_NEEDS_CSUM } from "../src/index.ts";
import { Collector } from "./support/collector.ts";
import { tcpFrame } from "./support/packets.ts";

const frame = (n: number): Uint8Array => new Uint8Array(60).fill(n);

function pair(): { a: Collector; b: Collector; link: ReturnType<typeof connect> } {
  const a = new Collector();
  const b = new Collector();
  return { a, b, link: connect(a, b) };
}

function large(): FrameBurst {
  const burst = new FrameBurst();
  const { bytes, l4, headers } = tcpFrame({ version: 4, payload: new Uint8Array(300) });
  burst.addSegment(bytes, 0, bytes.length);
  burst.endFrame(HDR_F_NEEDS_CSUM, GSO_TCPV4, headers, 100, l4, 16);
  return burst;
}

describe("a link", () => {
  it("carries frames both ways and counts them", () => {
    const { a, b, link } = pair();
    a.send(frame(1), frame(2));
    b.send(frame(3));
    expect(b.bytes).toEqual([frame(1), frame(2)]);
    expect(a.bytes).toEqual([frame(3)]);
    expect(link.aToB.frames).toBe(2);
    expect(link.bToA.frames).toBe(1);
  });

  it("passes on that an end is full, and that it has room again", () => {
    const { a, b } = pair();
    b.room = 1;
    expect(a.send(frame(1), frame(2))).toBe(1);
    b.room = 9;
    b.peer!.resume();
    expect(a.resumed).toBe(1);
  });

  it("gives an end the rest of a segmented frame before its sender hears of the room", () => {
    const { a, b } = pair();
    b.accepts = 0;
    b.room = 1;
    expect(a.peer!.take(large(), 0)).toBe(1);
    expect(a.send(frame(1))).toBe(0);
    b.room = 1;
    b.peer!.resume();
    expect(a.resumed).toBe(0);
    b.room = 2;
    b.peer!.resume();
    expect(a.resumed).toBe(1);
    expect(a.send(frame(1))).toBe(1);
    expect(b.bytes.map((f) => f.length)).toEqual([154, 154, 154, 60]);
  });

  it("that is down drops frames, counted, and lets nobody wait", () => {
    const { a, b, link } = pair();
    b.accepts = 0;
    b.room = 1;
    a.peer!.take(large(), 0);
    link.up = false;
    expect(a.resumed).toBe(1);
    expect(link.aToB.discarded).toBe(2);
    expect(a.send(frame(1), frame(2))).toBe(2);
    expect(link.aToB.droppedDown).toBe(2);
    link.up = true;
    b.room = 9;
    a.send(frame(3));
    expect(b.bytes.slice(1)).toEqual([frame(3)]);
  });

  it("that is disconnected detaches both ends and drops what they still send", () => {
    const { a, b, link } = pair();
    const peer = a.peer!;
    link.disconnect();
    link.disconnect();
    expect([a.peer, b.peer]).toEqual([undefined, undefined]);
    const burst = new FrameBurst();
    burst.addFrame(frame(1));
    expect(peer.take(burst, 0)).toBe(1);
    link.up = true;
    expect(link.up).toBe(false);
    expect(link.aToB.droppedDown).toBe(1);
  });

  it("keeps order, and loses nothing, when an answer is answered from within", () => {
    const { a, b, link } = pair();
    b.accepts = 0;
    let answers = 0;
    b.onFrame = () => {
      if (answers++ === 0) b.send(frame(9));
    };
    const waiting: Uint8Array[] = [];
    a.onFrame = () => {
      if (a.send(frame(5)) === 0) waiting.push(frame(5));
    };
    a.resume = () => {
      for (const f of waiting.splice(0)) a.send(f);
    };
    a.peer!.take(large(), 0);
    expect(b.bytes.map((f) => f.length)).toEqual([154, 154, 154, 60]);
    expect(link.aToB.segments).toBe(3);
  });
});
