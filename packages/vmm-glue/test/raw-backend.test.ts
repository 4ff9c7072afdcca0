import { FrameBurst } from "@virtio-ts/net-link";
import { describe, expect, it } from "vitest";
import { RawBackend, type RawDriver } from "../src/sel4/index.ts";
import { frame, Wire } from "./support/nic.ts";
import { MAC, RecordingFuncs } from "./support/sel4.ts";

function burstOf(...frames: readonly Uint8Array[]): FrameBurst {
  const burst = new FrameBurst();
  for (const bytes of frames) burst.addFrame(bytes);
  return burst;
}

function setUp(options: ConstructorParameters<typeof RawBackend>[1] = {}): {
  funcs: RecordingFuncs;
  backend: RawBackend;
  driver: RawDriver;
  nic: Wire;
} {
  const funcs = new RecordingFuncs();
  const backend = new RawBackend(funcs, options);
  const nic = new Wire();
  backend.attach(nic);
  return { funcs, backend, driver: backend.driver, nic };
}

describe("frames to a backend of functions", () => {
  it("that are enqueued stay as they are until they are complete", () => {
    const kept: Uint8Array[] = [];
    const funcs = Object.assign(new RecordingFuncs(), {
      tx: (_: RawDriver, parts: readonly Uint8Array[]) => {
        kept.push(parts[0]);
        return "enqueued";
      },
    });
    const backend = new RawBackend(funcs);
    const bytes = frame(1);
    expect(backend.take(burstOf(bytes), 0)).toBe(1);
    bytes.fill(0); // the guest has its buffer back
    expect(kept).toEqual([frame(1)]);
    expect(backend.outstanding).toBe(1);
    backend.driver.txComplete(0);
    expect([backend.outstanding, backend.counters.txComplete]).toEqual([0, 1]);
  });

  it("wait while too many are out, and go on when one is complete", () => {
    const { funcs, backend, driver, nic } = setUp({ txFrames: 2 });
    funcs.result = "enqueued";
    const burst = burstOf(frame(1), frame(2), frame(3));
    expect(backend.take(burst, 0)).toBe(2);
    expect(nic.resumed).toBe(0);
    driver.txComplete(funcs.cookies[1]);
    expect(nic.resumed).toBe(1);
    expect(backend.take(burst, 2)).toBe(3);
    expect(funcs.frames).toEqual([frame(1), frame(2), frame(3)]);
  });

  it("that are complete tell the card nothing while none of its own wait", () => {
    const { funcs, backend, driver, nic } = setUp({ txFrames: 2 });
    funcs.result = "enqueued";
    expect(backend.take(burstOf(frame(1)), 0)).toBe(1);
    driver.txComplete(funcs.cookies[0]);
    expect([backend.outstanding, nic.resumed]).toEqual([0, 0]);
    expect(backend.take(burstOf(frame(1), frame(2), frame(3)), 0)).toBe(2);
    for (const cookie of funcs.cookies.slice(1)) driver.txComplete(cookie);
    expect([backend.outstanding, nic.resumed]).toEqual([0, 1]);
  });

  it("that one card waited to send are nothing to the next", () => {
    const { funcs, backend, driver, nic } = setUp({ txFrames: 1 });
    funcs.result = "enqueued";
    expect(backend.take(burstOf(frame(1), frame(2)), 0)).toBe(1);
    backend.detach();
    const next = new Wire();
    backend.attach(next);
    driver.txComplete(funcs.cookies[0]);
    expect([backend.outstanding, nic.resumed, next.resumed]).toEqual([0, 0, 0]);
  });

  it("may have any length, one after the other in the same place", () => {
    const { funcs, backend } = setUp({ txFrames: 1 });
    const frames = [14, 9000, 60, 9001].map((length) => frame(length, length));
    for (const bytes of frames) backend.take(burstOf(bytes), 0);
    expect(funcs.frames).toEqual(frames);
  });

  it("may be complete before tx returns", () => {
    const { funcs, backend } = setUp();
    backend.driver.data = "mine";
    funcs.tx = (driver, _, cookie) => {
      driver.txComplete(cookie);
      return "enqueued";
    };
    backend.take(burstOf(frame(1), frame(2)), 0);
    expect([backend.outstanding, backend.counters.txComplete, backend.driver.data]).toEqual([0, 2, "mine"]);
  });

  it("that are completed twice, or were never sent, are counted and change nothing", () => {
    const { funcs, backend, driver } = setUp();
    funcs.result = "enqueued";
    backend.take(burstOf(frame(1)), 0);
    driver.txComplete(funcs.cookies[0]);
    for (const cookie of [funcs.cookies[0], 17, -1, 1e9, Number.NaN]) driver.txComplete(cookie);
    expect([backend.counters.strayCompletions, backend.outstanding]).toEqual([5, 0]);
  });

  it("that fail, throw, or end in nonsense are counted and come back", () => {
    const { funcs, backend } = setUp();
    funcs.result = "failed";
    backend.take(burstOf(frame(1)), 0);
    funcs.result = "sure" as "complete";
    backend.take(burstOf(frame(2)), 0);
    funcs.tx = () => {
      throw new Error("broken");
    };
    backend.take(burstOf(frame(3)), 0);
    expect([backend.counters.txFailed, backend.counters.errors, backend.outstanding]).toEqual([3, 1, 0]);
  });
});

describe("frames from a backend of functions", () => {
  it("are made of one buffer or several", () => {
    const { driver, nic } = setUp();
    const one = driver.allocateRxBuf(100)!;
    one.bytes.set(frame(1));
    driver.rxComplete([one.cookie], [60]);
    const parts = [0, 1, 2].map(() => driver.allocateRxBuf(20)!);
    parts.forEach((part, i) => void part.bytes.set(frame(2).subarray(i * 20, i * 20 + 20)));
    driver.rxComplete(
      parts.map(({ cookie }) => cookie),
      [20, 20, 20],
    );
    expect(nic.frames).toEqual([frame(1), frame(2)]);
  });

  it("wait while the card has no room; then there are no more buffers", () => {
    const { driver, nic, backend } = setUp({ rxBuffers: 2 });
    nic.full = true;
    for (let i = 0; i < 2; i++) {
      const buffer = driver.allocateRxBuf(60)!;
      buffer.bytes.set(frame(i));
      driver.rxComplete([buffer.cookie], [60]);
    }
    expect(driver.allocateRxBuf(60)).toBeNull();
    nic.full = false;
    backend.resume();
    expect([nic.frames, backend.counters.rxFrames]).toEqual([[frame(0), frame(1)], 2]);
    expect(driver.allocateRxBuf(60)).not.toBeNull();
  });

  it("get no more buffers than there are, and none of a size that no frame has", () => {
    const { driver } = setUp({ rxBuffers: 3 });
    for (const size of [0, -1, 0.5, 0x1_0001, Number.NaN]) expect(driver.allocateRxBuf(size)).toBeNull();
    const cookies = [1, 2, 3].map((size) => driver.allocateRxBuf(size)!.cookie);
    expect(new Set(cookies).size).toBe(3);
    expect(driver.allocateRxBuf(1)).toBeNull();
    driver.rxComplete([cookies[0]], [1]);
    expect(driver.allocateRxBuf(1)?.cookie).toBe(cookies[0]);
  });

  it("may have a single byte in a buffer", () => {
    const { driver, nic } = setUp();
    const parts = [0, 1].map(() => driver.allocateRxBuf(60)!);
    parts[0].bytes.set(frame(1).subarray(0, 59));
    parts[1].bytes.set(frame(1).subarray(59));
    driver.rxComplete(
      parts.map(({ cookie }) => cookie),
      [59, 1],
    );
    expect(nic.frames).toEqual([frame(1)]);
  });

  it("get buffers of the size asked for, whatever the buffer held before", () => {
    const { driver } = setUp({ rxBuffers: 1 });
    const sizes = [60, 5000, 2048, 0x1_0000, 1].map((size) => {
      const { bytes, cookie } = driver.allocateRxBuf(size)!;
      driver.rxComplete([cookie], [1]);
      return bytes.length;
    });
    expect(sizes).toEqual([60, 5000, 2048, 0x1_0000, 1]);
  });

  it("that lie about cookies or lengths are refused and counted; their buffers come back", () => {
    const { driver, nic, backend } = setUp({ rxBuffers: 2 });
    const attempts: (readonly [(cookie: number) => number[], number[]])[] = [
      [(cookie) => [cookie], [61]],
      [(cookie) => [cookie], [0]],
      [(cookie) => [cookie], [-1]],
      [(cookie) => [cookie], []],
      [(cookie) => [cookie, cookie], [30, 30]],
      [(cookie) => [cookie, 99], [30, 30]],
      [() => [], []],
      [() => [5], [60]],
      [() => [Number.NaN], [60]],
    ];
    for (const [cookies, lengths] of attempts)
      driver.rxComplete(cookies(driver.allocateRxBuf(60)?.cookie ?? -1), lengths);
    expect([nic.frames, backend.counters.rxRefused, backend.counters.rxFrames]).toEqual([[], attempts.length, 0]);
    expect(driver.allocateRxBuf(60)).toBeNull(); // the last attempts named none of the two that they had
  });

  it("that answer a frame from within its tx go where they belong", () => {
    const { funcs, backend, nic } = setUp();
    funcs.tx = (driver, [bytes]) => {
      const buffer = driver.allocateRxBuf(bytes.length)!;
      buffer.bytes.set(bytes);
      driver.rxComplete([buffer.cookie], [bytes.length]);
      return "complete";
    };
    backend.take(burstOf(frame(1), frame(2)), 0);
    expect(nic.frames).toEqual([frame(1), frame(2)]);
  });

  it("without a card are refused", () => {
    const { driver, backend } = setUp();
    backend.detach();
    const buffer = driver.allocateRxBuf(60)!;
    driver.rxComplete([buffer.cookie], [60]);
    expect(backend.counters.rxRefused).toBe(1);
  });
});

describe("a backend's MTU", () => {
  const of = (mtu: number) => () => {
    const funcs = Object.assign(new RecordingFuncs(), { lowLevelInit: () => ({ mac: Uint8Array.from(MAC), mtu }) });
    return new RawBackend(funcs).mtu;
  };

  it.each([67, 0x1_0000, 1500.5, Number.NaN])("can't be %d", (mtu) => {
    expect(of(mtu)).toThrow(RangeError);
  });

  // The least a link carries of IPv4 (RFC 791, 3.2), and the largest IP packet.
  it.each([68, 0xffff])("may be %d", (mtu) => {
    expect(of(mtu)()).toBe(mtu);
  });
});

describe("a backend's other functions", () => {
  it("are called on demand, and may throw", () => {
    const causes: unknown[] = [];
    const { funcs, backend } = setUp({ onError: (cause) => causes.push(cause) });
    backend.poll();
    backend.printState();
    expect(funcs.calls).toEqual(["lowLevelInit", "poll", "printState"]);
    funcs.poll = () => {
      throw new Error("broken");
    };
    backend.poll();
    expect([causes.length, backend.counters.errors]).toEqual([1, 1]);
  });
});
