import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Capture, type CaptureOptions, connect, FrameBurst, GSO_TCPV4, HDR_F_NEEDS_CSUM } from "../src/index.ts";
import { pcapngFile } from "../src/node/pcapng-file.ts";
import { Collector } from "../src/testing/index.ts";
import { parseTcp, tcpFrame } from "./support/packets.ts";
import { type PcapngFileContent, readPcapng } from "./support/pcapng.ts";

const frame = (n: number, length = 60): Uint8Array => new Uint8Array(length).fill(n);

function make(options: Partial<CaptureOptions> = {}): {
  nic: Collector;
  backend: Collector;
  capture: Capture;
  chunks: Uint8Array[];
  read: () => PcapngFileContent;
} {
  const nic = new Collector();
  const backend = new Collector();
  const chunks: Uint8Array[] = [];
  const capture = new Capture(backend, { sink: (bytes) => chunks.push(bytes), ...options });
  connect(nic, capture);
  const read = (): PcapngFileContent => {
    capture.flush();
    return readPcapng(Uint8Array.from(chunks.flatMap((chunk) => [...chunk])));
  };
  return { nic, backend, capture, chunks, read };
}

function burstOf(bytes: Uint8Array): FrameBurst {
  const burst = new FrameBurst();
  burst.addFrame(bytes);
  return burst;
}

describe("a capture", () => {
  it("says what it is, though nothing was captured", () => {
    const { read } = make({ name: "eth0" });
    expect(read()).toEqual({ name: "eth0", application: "virtio-ts", snapLength: 262144, packets: [] });
  });

  it("records frames of both directions, with the time", () => {
    let now = 1_700_000_000_123_456;
    const { nic, backend, read } = make({ now: () => now++ });
    nic.send(frame(1), frame(2, 61));
    backend.send(frame(3, 14));
    expect(read().packets).toEqual([
      { bytes: frame(1), length: 60, time: 1_700_000_000_123_456, direction: 2, comment: undefined },
      { bytes: frame(2, 61), length: 61, time: 1_700_000_000_123_456, direction: 2, comment: undefined },
      { bytes: frame(3, 14), length: 14, time: 1_700_000_000_123_457, direction: 1, comment: undefined },
    ]);
  });

  it("records a frame once, when it is taken", () => {
    const { nic, backend, read } = make();
    backend.room = 1;
    nic.send(frame(1), frame(2));
    backend.room = 9;
    nic.send(frame(2));
    expect(read().packets.map((p) => p.bytes[0])).toEqual([1, 2]);
  });

  it("records an answer after what it answers", () => {
    const { nic, backend, read } = make();
    backend.onFrame = (f) => {
      if (f.bytes[0] < 3) backend.send(frame(10 + f.bytes[0]));
    };
    nic.send(frame(1), frame(2));
    nic.send(frame(3));
    expect(read().packets.map((p) => p.bytes[0])).toEqual([1, 2, 11, 12, 3]);
  });

  it("fills in the checksum that was left to an offload, also of a frame to be segmented", () => {
    const { nic, read } = make();
    const burst = new FrameBurst();
    const { bytes, l4, headers } = tcpFrame({ version: 4, payload: frame(7, 4000) });
    burst.addSegment(bytes, 0, bytes.length);
    burst.endFrame(HDR_F_NEEDS_CSUM, GSO_TCPV4, headers, 1448, l4, 16);
    burst.addSegment(bytes, 0, bytes.length);
    burst.endFrame(HDR_F_NEEDS_CSUM, 0, 0, 0, 65535, 65535);
    nic.peer!.take(burst, 0);
    const { packets } = read();
    expect(parseTcp(packets[0].bytes).payload).toEqual(frame(7, 4000));
    expect(packets[0].comment).toBe("to be segmented: 1448 bytes of payload each");
    expect(packets[1].bytes).toEqual(bytes);
  });

  it("cuts frames at the snap length", () => {
    const { nic, read } = make({ snapLength: 33 });
    nic.send(frame(1, 100));
    expect(read().packets[0]).toMatchObject({ bytes: frame(1, 33), length: 100 });
  });

  it("can be read whatever the sizes of frames and chunks", () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat(3000), { maxLength: 30, size: "max" }),
        fc.integer({ min: 1, max: 5000 }),
        (sizes, chunkSize) => {
          const { nic, read, chunks } = make({ chunkSize });
          for (const size of sizes) nic.send(frame(1, size));
          expect(read().packets.map((p) => p.bytes.length)).toEqual(sizes);
          for (const chunk of chunks) expect(chunk.length).toBeLessThanOrEqual(Math.max(chunkSize, 3100));
        },
      ),
      { numRuns: 50 },
    );
  });

  it("ends when its sink fails, and frames go on", () => {
    const { nic, backend, capture } = make({
      chunkSize: 1024,
      sink: () => {
        throw new Error("no space");
      },
    });
    for (let n = 0; n < 100; n++) expect(nic.send(frame(n))).toBe(1);
    expect(backend.frames.length).toBe(100);
    expect(String(capture.error)).toBe("Error: no space");
    expect(capture.counters.frames + capture.counters.missed).toBe(100);
    expect(capture.counters.missed).toBeGreaterThan(80);
  });

  it("passes on back-pressure, offloads, address and MTU", () => {
    const { nic, backend, capture } = make();
    backend.accepts = 3;
    expect(capture.accepts).toBe(3);
    expect("mtu" in capture && capture.mtu !== undefined).toBe(false);
    const inner = Object.assign(new Collector(), { mtu: 9000, mac: frame(2, 6) });
    expect(new Capture(inner, { sink: () => {} })).toMatchObject({ mtu: 9000, mac: frame(2, 6) });
    backend.peer!.resume();
    expect(nic.resumed).toBe(1);
    nic.peer!.resume();
    expect(backend.resumed).toBe(1);
  });

  it("tells what is behind it that the link is down, and up", () => {
    const told: boolean[] = [];
    const inner = Object.assign(new Collector(), { linkChanged: (up: boolean) => void told.push(up) });
    const link = connect(new Collector(), new Capture(inner, { sink: () => {} }));
    link.up = false;
    link.up = true;
    expect(told).toEqual([false, true]);
  });

  it("goes on after a backend that threw: what it answered before is recorded, what it was given is not", () => {
    const nic = new Collector();
    const backend = new Collector();
    const chunks: Uint8Array[] = [];
    const capture = new Capture(backend, { sink: (bytes) => chunks.push(bytes) });
    const errors: unknown[] = [];
    const link = connect(nic, capture, { onError: (cause) => errors.push(cause) });
    backend.onFrame = () => {
      backend.onFrame = undefined;
      backend.send(frame(9));
      throw new Error("once");
    };
    nic.send(frame(1), frame(2));
    nic.send(frame(3));
    capture.flush();
    const { packets } = readPcapng(Uint8Array.from(chunks.flatMap((chunk) => [...chunk])));
    expect(packets.map((p) => p.bytes[0])).toEqual([9, 3]);
    expect([errors.map(String), link.aToB.droppedFailed]).toEqual([["Error: once"], 2]);
    expect(capture.counters).toEqual({ frames: 2, missed: 0 });
  });

  it("ends when its sink answers with a promise that is rejected", async () => {
    const { nic, capture } = make({ sink: (async () => Promise.reject(new Error("no space"))) as () => void });
    nic.send(frame(1));
    capture.flush();
    await new Promise((resolve) => setImmediate(resolve));
    nic.send(frame(2));
    expect(String(capture.error)).toBe("Error: no space");
    expect(capture.counters).toEqual({ frames: 1, missed: 1 });
  });

  it("whose sink sends frames itself records them too, and stays readable", () => {
    let depth = 0;
    const chunks: Uint8Array[] = [];
    const made = make({
      chunkSize: 1024,
      sink: (bytes) => {
        chunks.push(bytes);
        if (depth++ < 6) made.backend.peer!.take(burstOf(frame(depth, 800)), 0);
      },
    });
    for (let n = 0; n < 4; n++) made.nic.send(frame(100 + n, 800));
    made.capture.flush();
    expect(made.capture.error).toBeUndefined();
    const { packets } = readPcapng(Uint8Array.from(chunks.flatMap((chunk) => [...chunk])));
    expect(packets.length + 1).toBeGreaterThanOrEqual(made.capture.counters.frames);
    expect(made.capture.counters.frames).toBeGreaterThan(6);
  });

  it("goes to a file", () => {
    const folder = mkdtempSync(join(tmpdir(), "capture-"));
    try {
      const file = pcapngFile(join(folder, "a.pcapng"));
      const { nic, capture } = make({ sink: file.sink });
      nic.send(frame(1), frame(2));
      capture.close();
      nic.send(frame(3));
      file.close();
      file.close();
      expect(() => file.sink(frame(1))).toThrow("closed");
      expect(readPcapng(readFileSync(join(folder, "a.pcapng"))).packets.length).toBe(2);
      expect(capture.counters).toEqual({ frames: 2, missed: 1 });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
