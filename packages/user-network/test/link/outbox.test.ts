/** Small frames on their way to the guest: none is written over before it was taken. */
import { describe, expect, it } from "vitest";
import { Outbox } from "../../src/link/outbox.ts";

const SIZE = 0x4_0000;
const KIB = 1024;

/** An outbox whose memory is full of frames of 1 KiB. */
function full(): Outbox {
  const outbox = new Outbox();
  for (let at = 0; at < SIZE; at += KIB) expect(outbox.add(KIB)).toBe(at);
  return outbox;
}

describe("the frames that wait for the guest", () => {
  it("fill all the memory there is, to the byte", () => {
    const outbox = full();
    expect([outbox.count, outbox.add(1)]).toEqual([256, -1]);
  });

  it("go where those were that the guest has taken, and no further", () => {
    const outbox = full();
    outbox.drop(2);
    expect([KIB + 1, KIB, KIB - 1, 1].map((length) => outbox.add(length))).toEqual([0, -1, KIB + 1, -1]);
    outbox.drop(1);
    expect([KIB + 1, KIB, 1].map((length) => outbox.add(length))).toEqual([-1, 2 * KIB, -1]);
  });

  it("leave the end of the memory unused where they don't fit", () => {
    const outbox = new Outbox();
    expect([SIZE - 10, 10, 1].map((length) => outbox.add(length))).toEqual([0, SIZE - 10, -1]);
    outbox.clear();
    expect([KIB, SIZE - KIB - 10].map((length) => outbox.add(length))).toEqual([0, KIB]);
    outbox.drop(1);
    expect([11, KIB - 11, 1].map((length) => outbox.add(length))).toEqual([0, 11, -1]);
  });

  it("are not larger than the memory", () => {
    expect(new Outbox().add(SIZE + 1)).toBe(-1);
    expect(new Outbox().add(SIZE)).toBe(0);
  });

  it("are 512 at most", () => {
    const outbox = new Outbox();
    for (let i = 0; i < 512; i++) expect(outbox.add(60)).toBe(60 * i);
    expect(outbox.add(60)).toBe(-1);
  });
});
