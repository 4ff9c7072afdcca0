import { FrameBurst } from "@virtio-ts/net-link";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { frame, header, type Nic, offerBuffers, RX, receive, setupNic, TX, transmit } from "./support/nic.ts";

const EVENT_IDX = 29;
const MRG_RXBUF = 15;

/** The number a frame was given, in its last bytes. */
function numbered(n: number, length: number): Uint8Array {
  const bytes = frame(length, n);
  new DataView(bytes.buffer).setUint32(length - 4, n);
  return bytes;
}

function numberOf(bytes: Uint8Array): number {
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(bytes.length - 4);
}

describe("transmit back-pressure", () => {
  it("a full backend leaves frames in the ring; when it has room they go, in order, each once", () => {
    const s = setupNic();
    s.backend.room = 3;
    for (let i = 0; i < 8; i++) transmit(s, numbered(i, 60));
    s.kick(TX);
    expect(s.backend.frames.map((f) => numberOf(f.bytes))).toEqual([0, 1, 2]);
    expect(s.tx.collect().length).toBe(3);
    s.backend.room = 2;
    s.nic.resume();
    expect(s.tx.collect().length).toBe(2);
    s.backend.room = 100;
    s.nic.resume();
    expect(s.backend.frames.map((f) => numberOf(f.bytes))).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect(s.tx.collect().length).toBe(3);
    expect(s.nic.counters.tx.stalls).toBe(2);
  });

  it("a driver's kicks do not press frames onto a full backend", () => {
    const s = setupNic();
    s.backend.room = 0;
    transmit(s, frame(60));
    let calls = 0;
    s.backend.onTake = () => void calls++;
    for (let i = 0; i < 100; i++) s.kick(TX);
    expect(calls).toBe(1);
  });

  it("malformed frames behind a stall are counted once", () => {
    const s = setupNic();
    s.backend.room = 1;
    transmit(s, frame(60, 1));
    s.tx.offer([{ bytes: header() }]);
    transmit(s, frame(60, 2));
    s.kick(TX);
    expect(s.tx.collect().length).toBe(2);
    s.backend.room = 1;
    s.nic.resume();
    expect(s.tx.collect().length).toBe(1);
    expect(s.backend.frames.length).toBe(2);
    expect(s.nic.counters.dropped.txShortFrame).toBe(1);
  });

  it("a backend that answers from within its take, and whose answer kicks, loses nothing", () => {
    const s = setupNic();
    offerBuffers(s, 8, 200);
    let answers = 0;
    s.backend.onTake = () => {
      if (answers++ < 3) {
        s.backend.send(frame(60, 100 + answers));
        transmit(s, frame(60, answers));
        s.kick(TX);
      }
    };
    transmit(s, frame(60, 0));
    s.kick(TX);
    expect(s.backend.frames.map((f) => f.bytes)).toEqual([0, 1, 2, 3].map((i) => frame(60, i)));
    expect(receive(s).map((f) => f.bytes)).toEqual([101, 102, 103].map((i) => frame(60, i)));
  });

  it("a resume from within the backend's own take is heard, and costs no endless loop", () => {
    const s = setupNic();
    s.backend.room = 1;
    let calls = 0;
    s.backend.onTake = () => {
      calls++;
      s.nic.resume();
    };
    transmit(s, frame(60, 1));
    transmit(s, frame(60, 2));
    s.kick(TX);
    expect(s.backend.frames.length).toBe(1);
    expect(calls).toBe(8);
    s.backend.room = 1;
    s.scheduler.run();
    expect(s.backend.frames.length).toBe(2);
  });
});

/** What may happen next, to NIC and model alike. */
type Step =
  | { readonly do: "transmit"; readonly frames: number; readonly kick: boolean }
  | { readonly do: "room"; readonly frames: number }
  | { readonly do: "send"; readonly frames: number; readonly length: number }
  | { readonly do: "buffers"; readonly count: number; readonly length: number }
  | { readonly do: "turn" }
  | { readonly do: "reap" };

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constant("transmit" as const), frames: fc.integer({ min: 1, max: 9 }), kick: fc.boolean() }),
  fc.record({ do: fc.constant("room" as const), frames: fc.integer({ min: 0, max: 12 }) }),
  fc.record({
    do: fc.constant("send" as const),
    frames: fc.integer({ min: 1, max: 9 }),
    length: fc.integer({ min: 60, max: 700 }),
  }),
  fc.record({
    do: fc.constant("buffers" as const),
    count: fc.integer({ min: 1, max: 9 }),
    length: fc.constantFrom(100, 300, 800),
  }),
  fc.record({ do: fc.constant("turn" as const) }),
  fc.record({ do: fc.constant("reap" as const) }),
);

/** A backend's side that waits as the contract says: it keeps its frames until it is called again. */
class Sender {
  readonly waiting: Uint8Array[] = [];
  blocked = false;
  readonly #s: Nic;
  constructor(s: Nic) {
    this.#s = s;
    s.backend.resume = () => {
      this.blocked = false;
      this.push();
    };
  }
  push(): void {
    if (this.blocked || this.waiting.length === 0) return;
    const burst = new FrameBurst();
    for (const bytes of this.waiting) burst.addFrame(bytes);
    this.waiting.splice(0, this.#s.nic.take(burst, 0));
    this.blocked = this.waiting.length > 0;
  }
}

describe.each([
  ["flags", []],
  ["event idx", [EVENT_IDX]],
])("whatever the order of things, with notifications by %s", (_, extra) => {
  it("no frame is lost, none comes twice, none overtakes another, in either direction", () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 60 }), fc.boolean(), (steps, mergeable) => {
        const s = setupNic({ size: 64, features: [...extra, ...(mergeable ? [MRG_RXBUF] : [])] });
        const sender = new Sender(s);
        const sent: number[] = [];
        const offered: number[] = [];
        const received: number[] = [];
        let txFree = 32;
        let rxFree = 64;
        s.backend.room = 0;
        const reap = (): void => {
          txFree += s.tx.collect().length;
          for (const f of receive(s)) {
            received.push(numberOf(f.bytes));
            rxFree += f.numBuffers;
          }
          if (extra.length > 0) {
            s.tx.setUsedEvent(s.tx.usedIndex);
            s.rx.setUsedEvent(s.rx.usedIndex);
          }
        };
        const run = (now: Step): void => {
          switch (now.do) {
            case "transmit":
              for (let i = 0; i < now.frames && txFree > 0; i++, txFree--) {
                transmit(s, numbered(sent.length, 60 + (sent.length % 90)));
                sent.push(sent.length);
              }
              if (now.kick) s.kick(TX);
              break;
            case "room":
              s.backend.room += now.frames;
              s.nic.resume();
              break;
            case "send":
              for (let i = 0; i < now.frames; i++) {
                // A frame that no single buffer can hold would be dropped without mergeable ones.
                sender.waiting.push(numbered(offered.length, mergeable ? now.length : Math.min(now.length, 80)));
                offered.push(offered.length);
              }
              sender.push();
              break;
            case "buffers": {
              const count = Math.min(now.count, rxFree);
              rxFree -= count;
              if (count > 0) offerBuffers(s, count, now.length);
              s.kick(RX);
              break;
            }
            case "turn":
              s.scheduler.run();
              break;
            case "reap":
              reap();
          }
        };
        for (const now of steps) run(now);
        // Then everybody does what is due, and all must have come through.
        for (let i = 0; i < 40; i++) {
          for (const due of ["reap", "turn"] as const) run({ do: due });
          run({ do: "buffers", count: 64, length: 800 });
          run({ do: "room", frames: 40 });
          s.kick(TX);
        }
        expect(s.backend.frames.map((f) => numberOf(f.bytes))).toEqual(sent);
        expect(received).toEqual(offered);
        expect(s.nic.counters.dropped).toMatchObject({ rxTooLarge: 0, rxBadBuffers: 0, rxNotReady: 0, txNoLink: 0 });
        expect(s.core.status).toBe(15);
      }),
      { numRuns: 150 },
    );
  });
});

describe("a link that throws", () => {
  it("when it is given frames because it had room again, does not get its own error back: the driver is asked for a reset", () => {
    const s = setupNic();
    s.backend.room = 0;
    transmit(s, frame(60));
    s.kick(TX);
    const cause = new Error("not connected");
    s.backend.onTake = () => {
      throw cause;
    };
    s.backend.room = 10;
    expect(() => s.backend.peer?.resume()).not.toThrow();
    expect([s.core.status, s.faults.map((fault) => [fault.code, fault.cause])]).toEqual([
      15 | 64,
      [["device-error", cause]],
    ]);
  });

  it("is given frames again by the next driver", () => {
    const s = setupNic();
    s.backend.onTake = () => {
      throw new Error("once");
    };
    transmit(s, frame(60));
    s.kick(TX);
    s.backend.onTake = () => {};
    s.core.writeStatus(0);
    s.tx.setAvailIndex(0);
    s.memory.writeU16(s.tx.areas.deviceArea + 2, 0);
    s.start();
    transmit(s, frame(61));
    s.kick(TX);
    expect(s.backend.frames.map((f) => f.bytes.length)).toEqual([60, 61]);
  });
});
