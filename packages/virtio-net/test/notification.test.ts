import { describe, expect, it } from "vitest";
import { frame, type Nic, offerBuffers, RX, setupNic, TX, transmit } from "./support/nic.ts";

const EVENT_IDX = 29;

describe("used buffer notifications", () => {
  it("one for a burst, not one for a frame", () => {
    const s = setupNic({ size: 64 });
    for (let i = 0; i < 20; i++) transmit(s, frame(60));
    s.kick(TX);
    offerBuffers(s, 20, 200);
    s.backend.send(...Array.from({ length: 20 }, () => frame(60)));
    expect(s.interruptsOf(TX)).toBe(1);
    expect(s.interruptsOf(RX)).toBe(1);
    expect(s.nic.counters.rx.notifications).toBe(1);
  });

  it("none while the driver's flags say so [split.device.used-buffer-notification-suppression.2]", () => {
    const s = setupNic();
    s.tx.setAvailFlags(1);
    s.rx.setAvailFlags(1);
    transmit(s, frame(60));
    s.kick(TX);
    offerBuffers(s, 1, 200);
    s.backend.send(frame(60));
    expect(s.tx.usedIndex).toBe(1);
    expect(s.rx.usedIndex).toBe(1);
    expect(s.interrupts.queueCounts).toEqual([]);
  });

  it("with EVENT_IDX at the entry the driver named, and not before [split.device.used-buffer-notification-suppression.5]", () => {
    const s = setupNic({ features: [EVENT_IDX] });
    s.rx.setUsedEvent(2);
    offerBuffers(s, 6, 200);
    const counts = [];
    for (let i = 0; i < 6; i++) {
      s.backend.send(frame(60));
      counts.push(s.interruptsOf(RX));
    }
    expect(counts).toEqual([0, 0, 1, 1, 1, 1]);
  });

  it("none when nothing was used", () => {
    const s = setupNic();
    s.backend.send(frame(60));
    s.kick(TX);
    s.kick(RX);
    expect(s.interrupts.queueCounts).toEqual([]);
  });
});

describe("available buffer notifications", () => {
  it("of the receive queue are asked for only while a frame waits", () => {
    const s = setupNic();
    expect(s.rx.usedFlags).toBe(1);
    s.backend.send(frame(60));
    expect(s.rx.usedFlags).toBe(0);
    offerBuffers(s, 1, 200);
    s.kick(RX);
    s.backend.send(frame(60));
    expect(s.rx.usedFlags).toBe(1);
  });

  it("of the transmit queue are asked for when it is empty, not while the backend is full", () => {
    const s = setupNic();
    transmit(s, frame(60));
    s.kick(TX);
    expect(s.tx.usedFlags).toBe(0);
    s.backend.room = 0;
    transmit(s, frame(60));
    s.kick(TX);
    expect(s.tx.usedFlags).toBe(1);
  });

  it("with EVENT_IDX name the next entry", () => {
    const s = setupNic({ features: [EVENT_IDX] });
    for (let i = 0; i < 3; i++) transmit(s, frame(60));
    s.kick(TX);
    expect(s.tx.availEvent).toBe(3);
    offerBuffers(s, 2, 200);
    s.backend.send(frame(60), frame(60), frame(60));
    expect(s.rx.availEvent).toBe(2);
  });

  it("are not missed by a driver that looks for them while the device turns away", () => {
    // What another processor can do at any moment: here, right after the device has asked for notifications.
    function onAsked(s: Nic, queue: Nic["tx"], act: () => void): void {
      let done = false;
      const written = (offset: number): void => {
        if (done || offset !== queue.areas.deviceArea || queue.usedFlags !== 0) return;
        done = true;
        act();
      };
      s.memory.regions[0].tracker = { written };
    }
    const s = setupNic();
    onAsked(s, s.tx, () => transmit(s, frame(60, 2)));
    transmit(s, frame(60, 1));
    s.kick(TX);
    expect(s.backend.frames.map((f) => f.bytes)).toEqual([frame(60, 1), frame(60, 2)]);

    onAsked(s, s.rx, () => void offerBuffers(s, 1, 200));
    expect(s.backend.send(frame(60))).toBe(1);
    expect(s.rx.usedIndex).toBe(1);
    expect(s.rx.usedFlags).toBe(1);
  });

  it("that come without reason are harmless, by the hundred thousand [split.device.available-buffer-notification-suppression.5]", () => {
    const s = setupNic();
    for (let i = 0; i < 100_000; i++) s.kick(i & 1);
    transmit(s, frame(60));
    s.kick(TX);
    expect(s.backend.frames.length).toBe(1);
  });
});

describe("fairness", () => {
  /** Makes frames available, of one descriptor each, all the same bytes. */
  function flood(s: Nic, frames: number): void {
    for (let i = 0; i < frames; i++) s.tx.add([{ address: 0x20_0000, length: 72 }]);
    s.tx.publish();
  }

  it("a turn sends a bounded number of frames, and goes on in a later one", () => {
    const s = setupNic({ size: 1024 });
    flood(s, 512);
    // A driver that refills its ring for ever, as one on another processor can.
    s.backend.onTake = () => {
      s.tx.collect();
      flood(s, 64);
    };
    s.kick(TX);
    expect(s.backend.frames.length).toBe(512);
    expect(s.scheduler.tasks.length).toBe(1);
    s.scheduler.run();
    expect(s.backend.frames.length).toBe(1024);
    expect(s.scheduler.tasks.length).toBe(1);
  });

  it("a flood of kicks meanwhile is one wake-up", () => {
    const s = setupNic({ size: 1024 });
    flood(s, 576);
    s.kick(TX);
    for (let i = 0; i < 1000; i++) s.kick(TX);
    expect(s.scheduler.tasks.length).toBe(1);
    expect(s.backend.frames.length).toBe(512);
    s.scheduler.run();
    expect(s.backend.frames.length).toBe(576);
    expect(s.scheduler.tasks.length).toBe(0);
  });

  it("and so is room on the link meanwhile", () => {
    const s = setupNic({ size: 1024 });
    flood(s, 576);
    s.kick(TX);
    for (let i = 0; i < 10; i++) s.nic.resume();
    expect(s.backend.frames.length).toBe(512);
  });

  it("what was put off is not done after a reset", () => {
    const s = setupNic({ size: 1024 });
    flood(s, 576);
    s.kick(TX);
    s.core.writeStatus(0);
    s.scheduler.run();
    expect(s.backend.frames.length).toBe(512);
  });
});
