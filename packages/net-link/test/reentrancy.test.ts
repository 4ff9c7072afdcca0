/** Ends that remove, part, throw or send from within the call that gives them frames. */
import { describe, expect, it } from "vitest";
import { connect, FrameBurst, FrameQueue, type NetPort, OFFLOAD_ALL, Switch, type SwitchPort } from "../src/index.ts";
import { Collector } from "../src/testing/index.ts";

const BROADCAST = [255, 255, 255, 255, 255, 255];
const mac = (n: number): number[] => [0x52, 0x54, 0, 0, 0, n];
const frame = (to: number[], from: number[], mark = 0): Uint8Array => Uint8Array.from([...to, ...from, 8, 0, mark]);

function lan(n: number): { sw: Switch; nics: Collector[]; ports: SwitchPort[]; errors: unknown[] } {
  const sw = new Switch();
  const errors: unknown[] = [];
  const nics = Array.from({ length: n }, () => new Collector());
  const ports = nics.map((nic) => {
    const port = sw.addPort();
    connect(nic, port, { onError: (cause) => errors.push(cause) });
    return port;
  });
  return { sw, nics, ports, errors };
}

const marks = (nic: Collector): number[] => nic.bytes.map((bytes) => bytes[14]);

/** A port whose `take` does what it is told, and sees all of a burst. */
function portThat(take: (burst: FrameBurst, first: number) => number): NetPort {
  return { accepts: OFFLOAD_ALL, take, resume: () => {} };
}

function burstOf(...frames: Uint8Array[]): FrameBurst {
  const burst = new FrameBurst();
  for (const bytes of frames) burst.addFrame(bytes);
  return burst;
}

describe("a frame that is lent", () => {
  it("reaches every port, and never later than the call that lent it, though a port is removed from within", () => {
    const { sw, nics, ports } = lan(4);
    nics[1].onFrame = () => sw.removePort(ports[0]);
    const memory = frame(BROADCAST, mac(0), 1);
    nics[0].send(memory);
    memory.fill(0xee); // the guest has its buffer back, and writes into it
    nics[1].onFrame = undefined;
    nics[3].send(frame(BROADCAST, mac(3), 2));
    expect(nics.map(marks)).toEqual([[], [1, 2], [1, 2], [1]]);
  });

  it("does not reach a port that is removed before its turn, nor a port that joins meanwhile", () => {
    const { sw, nics, ports } = lan(3);
    const late = new Collector();
    nics[1].onFrame = () => {
      nics[1].onFrame = undefined;
      sw.removePort(ports[2]);
      connect(late, sw.addPort());
    };
    nics[0].send(frame(BROADCAST, mac(0), 1));
    nics[0].send(frame(BROADCAST, mac(0), 2));
    expect([nics[1], nics[2], late].map(marks)).toEqual([[1, 2], [], [2]]);
    expect(ports[2].counters.given.droppedCleared).toBe(1);
  });

  it("is not changed while a port has it in hand, when the queue it waits in is cleared from within", () => {
    const seen: number[][] = [];
    const queue: FrameQueue = new FrameQueue(
      portThat((burst, first) => {
        if (seen.length === 0) {
          queue.clear();
          queue.push(burstOf(new Uint8Array(20).fill(9)), 0);
        }
        const bytes = new Uint8Array(20);
        for (let i = first; i < burst.count; i++) {
          burst.copyFrame(i, 0, bytes, 0, 20);
          seen.push([...new Set(bytes)]);
        }
        return burst.count;
      }),
    );
    queue.push(burstOf(new Uint8Array(20).fill(1)), 0);
    queue.push(burstOf(new Uint8Array(20).fill(2)), 0);
    queue.flush();
    expect(seen).toEqual([[1], [2], [9]]);
    expect(queue.counters).toMatchObject({ frames: 3, queued: 3, droppedCleared: 0 });
  });
});

describe("a queue", () => {
  it("that is cleared from within the handing over keeps what comes after, and counts what the target left", () => {
    let room = 1;
    const seen: number[] = [];
    const queue: FrameQueue = new FrameQueue(
      portThat((burst, first) => {
        if (seen.length === 0) {
          queue.clear();
          queue.push(burstOf(new Uint8Array(20).fill(9)), 0);
        }
        let i = first;
        for (; i < burst.count && room > 0; i++, room--)
          seen.push(burst.views[burst.first[i]][burst.offsets[burst.first[i]]]);
        return i;
      }),
    );
    for (const mark of [1, 2, 3]) queue.push(burstOf(new Uint8Array(20).fill(mark)), 0);
    queue.flush();
    room = 9;
    queue.flush();
    expect(seen).toEqual([1, 9]);
    expect(queue.counters).toMatchObject({ frames: 2, queued: 4, droppedCleared: 2 });
    expect(queue.length).toBe(0);
  });

  it("goes on when the target says from within its take that it has room again", () => {
    const seen: number[] = [];
    const queue: FrameQueue = new FrameQueue(
      portThat((burst, first) => {
        seen.push(burst.views[burst.first[first]][burst.offsets[burst.first[first]]]);
        queue.flush();
        return first + 1;
      }),
    );
    queue.take(burstOf(Uint8Array.of(1), Uint8Array.of(2), Uint8Array.of(3)), 0);
    expect(seen).toEqual([1, 2, 3]);
  });
});

describe("an end that throws once", () => {
  it("loses what it was given, counted and reported, and a direct link goes on", () => {
    const a = new Collector();
    const b = new Collector();
    const errors: unknown[] = [];
    const link = connect(a, b, { onError: (cause) => errors.push(cause) });
    const failure = new Error("InvalidStateError: still connecting");
    b.onFrame = () => {
      b.onFrame = undefined;
      b.frames.pop();
      throw failure;
    };
    expect(a.send(frame(BROADCAST, mac(0), 1), frame(BROADCAST, mac(0), 2))).toBe(2);
    expect(a.send(frame(BROADCAST, mac(0), 3))).toBe(1);
    expect(marks(b)).toEqual([3]);
    expect(errors).toEqual([failure]);
    expect(link.aToB).toMatchObject({ frames: 1, droppedFailed: 2 });
  });

  it("takes nothing from its neighbours on a switch, and gets its own frames again", () => {
    const { nics, errors } = lan(3);
    nics[1].onFrame = () => {
      nics[1].onFrame = undefined;
      nics[1].frames.pop();
      throw new Error("once");
    };
    const memory = frame(BROADCAST, mac(0), 1);
    nics[0].send(memory);
    memory.fill(0xee);
    nics[0].send(frame(BROADCAST, mac(0), 2));
    expect(nics.map(marks)).toEqual([[], [2], [1, 2]]);
    expect(errors.map(String)).toEqual(["Error: once"]);
  });
});
