/**
 * Buffers of no byte at all, which drivers do queue (au-ts/sddf#740, phantomuserland#404): they hold nothing, say nothing,
 * and come back; the NIC goes on with those behind them, and with no others.
 * @module
 */

import { describe, expect, it } from "vitest";
import { concat, frame, header, type Nic, offerBuffers, receive, setupNic } from "./support/nic.ts";

const MRG_RXBUF = 15;

function read({ memory }: Nic, address: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  memory.read(address, bytes);
  return bytes;
}

describe("receive buffers of 0 bytes", () => {
  it.each([
    ["without MRG_RXBUF", []],
    ["with MRG_RXBUF", [MRG_RXBUF]],
  ])("are given back unused, and only what is available behind them is written, %s", (_, features) => {
    const s = setupNic({ features });
    offerBuffers(s, 16, 2000);
    s.backend.send(...Array.from({ length: 16 }, (_, i) => frame(100, i)));
    const old = Array.from({ length: 16 }, (_, head) => s.rx.elements(head)[0].address);
    receive(s);
    for (const address of old) s.memory.fill(address, 2000, 0xee);
    const empty = s.rx.add([{ length: 0, writable: true }]);
    const [b, c] = offerBuffers(s, 2, 2000);
    const [atB, atC] = [s.rx.elements(b)[0].address, s.rx.elements(c)[0].address];
    expect(s.backend.send(frame(60, 1), frame(70, 2), frame(80, 3))).toBe(2);
    expect(s.rx.collect()).toEqual([
      { head: empty, length: 0 },
      { head: b, length: 72 },
      { head: c, length: 82 },
    ]);
    expect(read(s, atB + 12, 60)).toEqual(frame(60, 1));
    expect(read(s, atC + 12, 70)).toEqual(frame(70, 2));
    const untouched = new Uint8Array(2000).fill(0xee);
    for (const address of old) expect(read(s, address, 2000)).toEqual(untouched);
    expect(s.nic.counters.dropped.rxBadBuffers).toBe(1);
    offerBuffers(s, 1, 2000);
    expect(s.backend.send(frame(80, 3))).toBe(1);
    expect(receive(s)).toMatchObject([{ bytes: frame(80, 3), buffers: [92] }]);
    expect(s.faults).toEqual([]);
  });
});

describe("a transmit chain of 0 bytes", () => {
  it("is given back, and only the frames that are available behind it are sent", () => {
    const s = setupNic();
    const plain = (i: number) => ({ bytes: concat(header(), frame(60, i)) });
    for (let i = 0; i < 16; i++) s.tx.add([plain(i)]);
    s.tx.publish();
    s.kick(1);
    s.tx.collect();
    s.backend.frames.length = 0;
    s.tx.add([{ length: 0 }]);
    s.tx.add([plain(20)]);
    s.tx.add([plain(21)]);
    s.tx.publish();
    s.kick(1);
    expect(s.backend.frames.length).toBe(2);
    expect(s.backend.frames.map(({ bytes }) => bytes)).toEqual([frame(60, 20), frame(60, 21)]);
    expect(s.tx.collect().length).toBe(3);
    expect(s.nic.counters.dropped.txShortHeader).toBe(1);
    expect([s.faults, s.core.status]).toEqual([[], 15]);
  });
});
