import { describe, expect, it } from "vitest";
import { connect, FrameBurst, GSO_TCPV4, HDR_F_NEEDS_CSUM, type NetPort } from "../src/index.ts";
import { Collector } from "../src/testing/index.ts";
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

describe("the ends of a link", () => {
  class Told extends Collector {
    heard: string[] = [];
    linkChanged(up: boolean): void {
      this.heard.push(up ? "up" : "down");
    }
    override attach(peer: NetPort): void {
      super.attach(peer);
      this.heard.push("attach");
    }
    override detach(): void {
      super.detach();
      this.heard.push("detach");
    }
  }

  it("are told once each time it goes down or up, and then let go", () => {
    const [a, b] = [new Told(), new Told()];
    const link = connect(a, b);
    link.up = true;
    link.up = false;
    link.up = false;
    link.up = true;
    link.disconnect();
    link.up = true;
    expect(a.heard).toEqual(["attach", "down", "up", "detach"]);
    expect(b.heard).toEqual(a.heard);
  });

  it("are told of what it is, though one of them takes it down or parts it from within being told", () => {
    const [a, b] = [new Told(), new Told()];
    const link = connect(a, b);
    link.up = false;
    a.linkChanged = (up) => {
      a.heard.push(up ? "up" : "down");
      if (up) link.up = false;
      else link.disconnect();
    };
    link.up = true;
    expect(a.heard).toEqual(["attach", "down", "up", "down", "detach"]);
    expect(b.heard).toEqual(["attach", "down", "detach"]);
    expect(link.up).toBe(false);
  });

  it("may throw whatever they are called for: it is reported, and the link does what it was to do", () => {
    const [a, b] = [new Told(), new Told()];
    const errors: unknown[] = [];
    const link = connect(a, b, { onError: (cause) => errors.push((cause as Error).message) });
    const { peer } = a;
    const thrower = (what: string) => (): never => {
      throw new Error(what);
    };
    Object.assign(a, { resume: thrower("resume"), linkChanged: thrower("linkChanged"), detach: thrower("detach") });
    b.peer!.resume();
    link.up = false;
    link.disconnect();
    expect(errors).toEqual(["resume", "linkChanged", "resume", "resume", "detach"]);
    expect(b.heard).toEqual(["attach", "down", "detach"]);
    const burst = new FrameBurst();
    burst.addFrame(frame(1));
    peer!.take(burst, 0);
    expect(link.aToB.droppedDown).toBe(1);
  });

  it.each([
    ["NaN", () => Number.NaN],
    ["a negative number", () => -1],
    ["a fraction", () => 0.5],
    ["more than there is", () => 3],
    ["nothing", () => undefined],
    ["a promise", () => Promise.reject(new Error("too late"))],
  ])("may answer %s: the burst is lost, counted and reported", async (name, answer) => {
    const { a, b } = { a: new Collector(), b: new Collector() };
    const errors: unknown[] = [];
    const link = connect(a, b, { onError: (cause) => errors.push(cause) });
    b.take = () => answer() as number;
    expect(a.send(frame(1), frame(2))).toBe(2);
    expect(link.aToB).toMatchObject({ frames: 0, droppedFailed: 2 });
    await Promise.resolve();
    expect(errors[0]).toMatchObject({ name: "LinkError", code: "BAD_ANSWER" });
    expect(String(errors[0])).toMatch(/^LinkError: take answered .*, expected a whole number in 0\.\.2$/);
    expect(errors.slice(1).map(String)).toEqual(name === "a promise" ? ["Error: too late"] : []);
  });

  it("may be asynchronous where nothing is answered: a rejection is reported", async () => {
    const [a, b] = [new Told(), new Told()];
    const errors: unknown[] = [];
    const link = connect(a, b, { onError: (cause) => errors.push((cause as Error).message) });
    a.resume = async () => Promise.reject(new Error("resume"));
    a.linkChanged = async () => Promise.reject(new Error("linkChanged"));
    link.up = false;
    await new Promise((resolve) => setImmediate(resolve));
    expect(errors.sort()).toEqual(["linkChanged", "resume"]);
  });

  it("are not in the way of each other when whoever is told of errors throws too", () => {
    const [a, b] = [new Collector(), new Collector()];
    const host = globalThis as { reportError?: (cause: unknown) => void };
    const before = host.reportError;
    const reported: string[] = [];
    host.reportError = (cause) => reported.push(String(cause));
    try {
      const link = connect(a, b, {
        onError: () => {
          throw new Error("the reporter");
        },
      });
      b.take = () => {
        throw new Error("the end");
      };
      expect(a.send(frame(1))).toBe(1);
      link.disconnect();
      connect(a, b);
      expect(a.send(frame(1))).toBe(1);
    } finally {
      if (before === undefined) delete host.reportError;
      else host.reportError = before;
    }
    expect(reported).toEqual(["Error: the reporter", "Error: the end"]);
  });

  it("may part it from within a take: what is left is dropped, and nothing is kept", () => {
    const { a, b, link } = pair();
    b.accepts = 0;
    b.room = 1;
    b.onFrame = () => link.disconnect();
    expect(a.peer!.take(large(), 0)).toBe(1);
    expect(link.aToB).toMatchObject({ kept: 2, discarded: 2 });
    const next = connect(a, b);
    b.onFrame = undefined;
    b.room = 9;
    a.send(frame(1));
    expect(b.bytes.map((bytes) => bytes.length)).toEqual([154, 60]);
    expect(next.aToB.frames).toBe(1);
  });

  it("may take it down while they are given what was kept: what they take then is not counted as lost", () => {
    const { a, b, link } = pair();
    b.accepts = 0;
    b.room = 1;
    a.peer!.take(large(), 0);
    b.onFrame = () => {
      link.up = false;
      link.up = true;
    };
    b.room = 1;
    b.peer!.resume();
    expect(b.bytes.map((bytes) => bytes.length)).toEqual([154, 154]);
    expect(link.aToB).toMatchObject({ kept: 2, discarded: 1 });
    b.room = 9;
    b.onFrame = undefined;
    expect(a.send(frame(1))).toBe(1);
    expect(b.bytes.length).toBe(3);
  });

  it("hear that there is room though it was said from within the take that left frames", () => {
    const { a, b } = pair();
    b.room = 1;
    b.onFrame = () => b.peer!.resume();
    expect(a.send(frame(1), frame(2))).toBe(1);
    expect(a.resumed).toBe(1);
  });

  it("are not told of room by one they were parted from", () => {
    const { a, b, link } = pair();
    const { peer } = a;
    link.disconnect();
    const { resumed } = b;
    peer!.resume();
    expect(b.resumed).toBe(resumed);
  });

  it("are not told to go on from within being told", () => {
    const { a, b } = pair();
    let depth = 0;
    let deepest = 0;
    let left = 5;
    b.onFrame = () => void a.send(frame(2)); // refused, for b has a frame in hand
    a.resume = () => {
      deepest = Math.max(deepest, ++depth);
      if (left-- > 0) a.send(frame(1));
      depth--;
    };
    a.send(frame(1));
    expect([deepest, b.frames.length]).toEqual([1, 6]);
  });
});
