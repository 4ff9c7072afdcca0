import { describe, expect, it } from "vitest";
import { frame, type Nic, offerBuffers, setupNic, TX, transmit } from "./support/nic.ts";

/** Sends one frame with its kick, `count` times. */
function sendEach(s: Nic, count: number): void {
  for (let i = 0; i < count; i++) {
    transmit(s, frame(60));
    s.kick(TX);
  }
}

describe("kicks that are gathered", () => {
  const gathering = (): Nic => setupNic({ size: 128, nic: { transmit: "gathered" } });

  it("are answered at once while they are few", () => {
    const s = gathering();
    sendEach(s, 24);
    expect(s.backend.frames.length).toBe(24);
    expect(s.tx.usedFlags).toBe(0);
  });

  it("make one burst of the rest of the turn, without further kicks and with one interrupt", () => {
    const s = gathering();
    sendEach(s, 40);
    expect(s.backend.frames.length).toBe(24);
    expect(s.tx.usedFlags).toBe(1);
    s.scheduler.run();
    expect(s.backend.frames.length).toBe(40);
    expect(s.tx.usedFlags).toBe(0);
    expect(s.tx.usedIndex).toBe(40);
    expect(s.interruptsOf(TX)).toBe(1);
  });

  it("have their buffers given back when the turn is over, however few they are", () => {
    const s = gathering();
    sendEach(s, 3);
    expect(s.tx.usedIndex).toBe(0);
    s.scheduler.run();
    expect(s.tx.usedIndex).toBe(3);
    expect(s.interruptsOf(TX)).toBe(1);
  });

  it("have them given back before a snapshot", () => {
    const s = gathering();
    sendEach(s, 3);
    const { queues } = s.core.save();
    expect(s.tx.usedIndex).toBe(3);
    expect(queues[TX].position).toMatchObject({ nextUsed: 3, outstanding: [] });
  });

  it("are answered at once again in the next turn", () => {
    const s = gathering();
    sendEach(s, 25);
    s.scheduler.run();
    sendEach(s, 24);
    expect(s.backend.frames.length).toBe(49);
  });

  it("are nobody's after a reset", () => {
    const s = gathering();
    sendEach(s, 25);
    s.core.writeStatus(0);
    s.scheduler.run();
    expect(s.backend.frames.length).toBe(24);
  });

  it("wait for the link's room, as others do", () => {
    const s = gathering();
    s.backend.room = 24;
    sendEach(s, 30);
    s.scheduler.run();
    expect(s.backend.frames.length).toBe(24);
    s.backend.room = 30;
    s.nic.resume();
    expect(s.backend.frames.length).toBe(30);
  });

  it("have them given back at once where an answer interrupts the driver anyway", () => {
    const s = gathering();
    offerBuffers(s, 1, 100);
    s.backend.onTake = () => {
      s.backend.onTake = () => {};
      s.backend.send(frame(60, 2));
    };
    sendEach(s, 2);
    expect([s.tx.usedIndex, s.rx.usedIndex]).toEqual([1, 1]);
    s.scheduler.run();
    expect(s.tx.usedIndex).toBe(2);
  });

  it("are not, unless asked for", () => {
    const s = setupNic({ size: 64 });
    sendEach(s, 20);
    expect([s.backend.frames.length, s.tx.usedIndex, s.scheduler.tasks]).toEqual([20, 20, []]);
  });
});
