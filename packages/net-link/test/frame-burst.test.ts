/** What a burst holds of others' memory, and how much room it keeps. */
import { describe, expect, it } from "vitest";
import { connect, FrameBurst, GSO_NONE, GSO_TCPV4, HDR_F_NEEDS_CSUM, Switch } from "../src/index.ts";
import { Collector } from "../src/testing/index.ts";
import { tcpFrame } from "./support/packets.ts";

/** As much as a guest's burst of 64 frames of 256 segments. */
function large(memory = new Uint8Array(64 * 256 * 8)): FrameBurst {
  const burst = new FrameBurst();
  for (let i = 0; i < 64; i++) {
    for (let s = 0; s < 256; s++) burst.addSegment(memory, (i * 256 + s) * 8, 8);
    burst.endFrame();
  }
  return burst;
}

const held = (burst: FrameBurst): Uint8Array[] => burst.views.filter((view) => view.length > 0);

describe("a burst", () => {
  it("begun without any room takes frames all the same", () => {
    const burst = new FrameBurst(0, 0);
    burst.addFrame(Uint8Array.of(1, 2));
    burst.addSegment(Uint8Array.of(3), 0, 1);
    burst.addSegment(Uint8Array.of(4), 0, 1);
    burst.endFrame(1, 2, 3, 4, 5, 6);
    const bytes = new Uint8Array(4);
    expect([burst.copyFrame(0, 0, bytes, 0, 2), burst.copyFrame(1, 0, bytes, 2, 2), ...bytes]).toEqual([
      2, 2, 1, 2, 3, 4,
    ]);
    expect([...burst.lengths.subarray(0, 2)]).toEqual([2, 2]);
    expect([
      burst.flags[1],
      burst.gsoType[1],
      burst.hdrLen[1],
      burst.gsoSize[1],
      burst.csumStart[1],
      burst.csumOffset[1],
    ]).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it("keeps what it has, offloads and all, when it grows", () => {
    const burst = new FrameBurst(1, 1);
    for (let i = 0; i < 9; i++) {
      burst.addSegment(Uint8Array.of(i), 0, 1);
      burst.endFrame(i, i + 10, i + 20, i + 30, i + 40, i + 50);
    }
    for (let i = 0; i < 9; i++) {
      const fields = [burst.first[i], burst.lengths[i], burst.flags[i], burst.gsoType[i], burst.hdrLen[i]];
      expect([...fields, burst.gsoSize[i], burst.csumStart[i], burst.csumOffset[i], burst.views[i][0]]).toEqual([
        i,
        1,
        i,
        i + 10,
        i + 20,
        i + 30,
        i + 40,
        i + 50,
        i,
      ]);
    }
  });

  it("of a frame without segments has its length, 0, whatever was there before", () => {
    const burst = new FrameBurst();
    burst.addFrame(new Uint8Array(60));
    burst.clear();
    burst.endFrame();
    expect([burst.count, burst.lengths[0], burst.first[1]]).toEqual([1, 0, 0]);
  });

  it.each([
    ["cleared before", (burst: FrameBurst) => burst.clear()],
    [
      "cleared and filled anew with less",
      (burst: FrameBurst) => {
        burst.clear();
        burst.addFrame(new Uint8Array(1));
      },
    ],
    ["in the middle of a frame", (burst: FrameBurst) => burst.addSegment(new Uint8Array(9), 0, 9)],
    [
      "after a frame was abandoned",
      (burst: FrameBurst) => {
        burst.clear();
        for (let s = 0; s < 300; s++) burst.addSegment(new Uint8Array(9), 0, 9);
        burst.abandonFrame();
      },
    ],
    [
      "when it had to grow",
      (burst: FrameBurst) => {
        for (let s = 0; s < 1000; s++) burst.addFrame(new Uint8Array(9));
      },
    ],
  ])("lets go of all memory when it is released, %s", (_, meanwhile) => {
    const burst = new FrameBurst();
    for (let i = 0; i < 200; i++) burst.addFrame(new Uint8Array(9));
    meanwhile(burst);
    burst.release();
    expect([held(burst), burst.count, burst.segments]).toEqual([[], 0, 0]);
  });

  it("gives back the room that only an unusual burst needs", () => {
    const burst = large();
    for (let i = 0; i < 1000; i++) burst.addFrame(new Uint8Array(1));
    burst.release();
    expect([burst.offsets.length, burst.segmentLengths.length, burst.views.length]).toEqual([2048, 2048, 2048]);
    expect([burst.lengths.length, burst.first.length, burst.csumOffset.length]).toEqual([256, 257, 256]);
    burst.addFrame(Uint8Array.of(7));
    expect([burst.count, burst.lengths[0], burst.first[1]]).toEqual([1, 1, 1]);
  });

  it("keeps the room it was made with, and what is usual", () => {
    const roomy = new FrameBurst(1000, 5000);
    roomy.addFrame(new Uint8Array(1));
    roomy.release();
    expect([roomy.lengths.length, roomy.offsets.length]).toEqual([1000, 5000]);
    const usual = new FrameBurst(1, 1);
    for (let i = 0; i < 64; i++) usual.addFrame(new Uint8Array(1));
    const { offsets } = usual;
    usual.release();
    expect(usual.offsets).toBe(offsets);
  });

  it("that went through a switch once leaves the switch neither larger nor with the guest's memory", () => {
    const sw = new Switch();
    const nics = [0, 1, 2].map(() => new Collector());
    const seen: FrameBurst[] = [];
    for (const nic of nics) {
      connect(nic, sw.addPort());
      const take = nic.take.bind(nic);
      nic.take = (burst, first) => {
        seen.push(burst);
        return take(burst, first);
      };
    }
    nics[0].peer!.take(large(new Uint8Array(64 * 256 * 8).fill(0xff)), 0);
    expect(nics.map((nic) => nic.frames.length)).toEqual([0, 64, 64]);
    expect(seen.map((burst) => [burst.views.length, held(burst).length])).toEqual([
      [2048, 0],
      [2048, 0],
    ]);
  });

  it("that was segmented leaves the link none of the guest's memory, whether it was taken, left or thrown at", () => {
    for (const answer of ["takes", "leaves", "takes half", "throws"]) {
      const nic = new Collector();
      const backend = new Collector();
      backend.accepts = 0;
      let seen!: FrameBurst;
      backend.take = (burst, first) => {
        seen = burst;
        if (answer === "throws") throw new Error("no");
        return answer === "takes" ? burst.count : answer === "leaves" ? first : 2;
      };
      const link = connect(nic, backend, { onError: () => {} });
      const burst = new FrameBurst();
      const { bytes, l4, headers } = tcpFrame({ version: 4, payload: new Uint8Array(5000) });
      burst.addSegment(bytes, 0, bytes.length);
      burst.endFrame(HDR_F_NEEDS_CSUM, GSO_TCPV4, headers, 1000, l4, 16);
      nic.peer!.take(burst, 0);
      expect(seen.views.filter((view) => view.buffer === bytes.buffer)).toEqual([]);
      link.disconnect();
      expect([answer, held(seen)]).toEqual([answer, []]);
    }
  });

  it("whose checksums were filled in leaves the link none of the guest's memory, whatever became of it", () => {
    for (const answer of ["takes", "leaves", "takes half", "throws"]) {
      const nic = new Collector();
      const backend = new Collector();
      backend.accepts = 0;
      let seen!: FrameBurst;
      backend.take = (burst, first) => {
        seen = burst;
        expect(burst.count).toBe(4);
        if (answer === "throws") throw new Error("no");
        return answer === "takes" ? burst.count : answer === "leaves" ? first : 2;
      };
      const link = connect(nic, backend, { onError: () => {} });
      const burst = new FrameBurst();
      const { bytes, l4 } = tcpFrame({ version: 4, payload: new Uint8Array(1000) });
      for (let i = 0; i < 4; i++) {
        burst.addSegment(bytes, 0, l4 + 30);
        burst.addSegment(bytes, l4 + 30, bytes.length - l4 - 30);
        burst.endFrame(HDR_F_NEEDS_CSUM, GSO_NONE, 0, 0, l4, 16);
      }
      nic.peer!.take(burst, 0);
      expect(seen.views.filter((view) => view.buffer === bytes.buffer)).toEqual([]);
      link.disconnect();
      expect([answer, held(seen)]).toEqual([answer, []]);
    }
  });
});
