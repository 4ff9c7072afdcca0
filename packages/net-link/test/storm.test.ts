/** Links that form a loop, and ends that answer each other for ever: the event loop goes on. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { connect, FrameBurst, type Link, LinkError, type NetBackend, type NetPort, Switch } from "../src/index.ts";
import { Collector } from "../src/testing/index.ts";

const BROADCAST = [255, 255, 255, 255, 255, 255];
const mac = (n: number): number[] => [0x52, 0x54, 0, 0, 0, n];
const frame = (to: number[], from: number[], mark = 0): Uint8Array => Uint8Array.from([...to, ...from, 8, 0, mark]);

/** What a turn may hand over, all ports together: 16,384 frames, and what a few calls under way still do. */
const TURN = 20_000;

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** One turn of the event loop: what is due now, not what becomes due by it. */
function turn(): void {
  vi.runOnlyPendingTimers();
}

/** Counts what it gets, and does not keep it. */
class Meter implements NetBackend {
  readonly accepts = 15;
  frames = 0;
  peer: NetPort | undefined;
  take(burst: FrameBurst, first: number): number {
    this.frames += burst.count - first;
    return burst.count;
  }
  resume(): void {}
  attach(peer: NetPort): void {
    this.peer = peer;
  }
  detach(): void {}
  send(bytes: Uint8Array): void {
    const burst = new FrameBurst();
    burst.addFrame(bytes);
    this.peer!.take(burst, 0);
  }
}

describe.each([
  [
    "two switches joined by two links",
    (a: Switch, b: Switch) => [connect(a.addPort(), b.addPort()), connect(a.addPort(), b.addPort())],
  ],
  [
    "two switches joined by five links",
    (a: Switch, b: Switch) => Array.from({ length: 5 }, () => connect(a.addPort(), b.addPort())),
  ],
  ["two ports of one switch joined", (a: Switch) => [connect(a.addPort(), a.addPort())]],
] as const)("%s", (_, join) => {
  function storm(): { nic: Meter; far: Meter; a: Switch; links: readonly Link[]; said: () => number } {
    let said = 0;
    const a = new Switch({ onStorm: () => said++ });
    const b = new Switch();
    const nic = new Meter();
    const far = new Meter();
    connect(nic, a.addPort());
    connect(far, b.addPort());
    const links = join(a, b);
    return { nic, far, a, links, said: () => said };
  }

  it("hand over a bounded number of frames a turn, and the storm is counted and said", () => {
    const { nic, a, said } = storm();
    nic.send(frame(BROADCAST, mac(1)));
    for (let i = 0; i < 5; i++) {
      const before = nic.frames;
      turn();
      expect(nic.frames - before).toBeLessThan(TURN * vi.getTimerCount());
    }
    expect(nic.frames).toBeGreaterThan(0);
    expect(a.counters.postponed).toBeGreaterThan(0);
    expect(said()).toBe(a.counters.postponed);
  });

  it("are quiet again once the loop is cut", () => {
    const { nic, links } = storm();
    nic.send(frame(BROADCAST, mac(1)));
    turn();
    expect(vi.getTimerCount()).toBeGreaterThan(0);
    for (const link of links.slice(links.length > 1 ? 1 : 0)) link.up = false;
    for (let i = 0; i < 20; i++) turn();
    expect(vi.getTimerCount()).toBe(0);
    const before = nic.frames;
    nic.send(frame(BROADCAST, mac(1)));
    expect([nic.frames - before, vi.getTimerCount()]).toEqual([0, 0]);
  });
});

describe("ends that answer every frame with one", () => {
  const answering = (): Collector => {
    const end = new Collector();
    const owed: Uint8Array[] = [];
    const send = (): void => {
      while (owed.length > 0 && end.send(owed[0]) === 1) owed.shift();
    };
    end.onFrame = ({ bytes }) => {
      end.frames.length = 0;
      owed.push(frame([...bytes.subarray(6, 12)], [...bytes.subarray(0, 6)], bytes[14] + 1));
      if (owed.length === 1) send();
    };
    end.resume = () => {
      end.resumed++;
      send();
    };
    return end;
  };

  it.each([
    ["on a link", (a: Collector, b: Collector) => void connect(a, b)],
    [
      "on a switch",
      (a: Collector, b: Collector) => {
        const lan = new Switch();
        connect(a, lan.addPort());
        connect(b, lan.addPort());
      },
    ],
  ])("%s let others have their turn, and go on after it without losing a frame", (_, join) => {
    const [a, b] = [answering(), answering()];
    join(a, b);
    a.send(frame(mac(2), mac(1)));
    for (let i = 0; i < 3; i++) {
      const before = a.calls;
      expect(vi.getTimerCount()).toBeGreaterThan(0);
      turn();
      expect(a.calls - before).toBeGreaterThan(100);
      expect(a.calls - before).toBeLessThan(TURN);
    }
  });
});

describe("ends that tell each other of room for ever", () => {
  it("let others have their turn", () => {
    const [a, b] = [new Collector(), new Collector()];
    connect(a, b);
    a.resume = () => {
      a.resumed++;
      b.peer!.resume();
    };
    b.peer!.resume();
    expect(a.resumed).toBeGreaterThan(100);
    expect(a.resumed).toBeLessThan(TURN);
    expect(vi.getTimerCount()).toBe(1);
    turn();
    expect(a.resumed).toBeLessThan(2 * TURN);
    expect(vi.getTimerCount()).toBe(1);
  });
});

describe("a link", () => {
  it("refuses to join an end with itself", () => {
    const port = new Switch().addPort();
    expect(() => connect(port, port)).toThrow(
      new LinkError("SAME_END", "both ends of the link are the same: expected two"),
    );
  });

  it.each([0, 1])(
    "refuses an end that is at another link, as either of its own, until that one is disconnected",
    (side) => {
      const [a, b, c] = [new Collector(), new Collector(), new Collector()];
      const first = connect(a, b);
      const join = (): Link => (side === 0 ? connect(b, c) : connect(c, b));
      expect(join).toThrow(/^the (first|second) end is at another link/);
      expect([b.peer !== undefined, c.peer]).toEqual([true, undefined]);
      a.send(frame(mac(2), mac(1), 7));
      expect(b.frames.length).toBe(1);
      first.disconnect();
      join();
      c.send(frame(mac(2), mac(3), 8));
      expect(b.bytes.map((bytes) => bytes[14])).toEqual([7, 8]);
    },
  );

  it("lets go of the other end when one does not want to be attached", () => {
    const [a, b] = [new Collector(), new Collector()];
    a.attach = () => {
      throw new Error("closed");
    };
    expect(() => connect(a, b)).toThrow("closed");
    expect(b.peer).toBeUndefined();
    expect(() => connect(b, new Collector())).not.toThrow();
  });
});
