/** A NIC whose driver suspends it (3.5) or resets one of its queues (2.6.1), in the midst of what it gathers. */
import { MockSplitDriver } from "@virtio-ts/virtio-queue/testing";
import { describe, expect, it } from "vitest";
import { frame, header, offerBuffers, RX, receive, setupNic, TX, transmit } from "./support/nic.ts";

const RING_RESET = 40;
const SUSPEND = 43;
/** More kicks in one turn than are answered at once. */
const FLOOD = 30;

const gathering = () =>
  setupNic({
    size: 64,
    nic: { transmit: "gathered" },
    features: [RING_RESET, SUSPEND],
    transportFeatures: 1n << BigInt(RING_RESET),
  });

type Nic = ReturnType<typeof gathering>;

function flood(s: Nic): void {
  for (let i = 0; i < FLOOD; i++) {
    transmit(s, frame(60, i));
    s.kick(TX);
  }
}

describe("a suspended NIC", () => {
  it("has given back, and told of, the buffers of what it sent, before it shows SUSPEND", () => {
    const s = gathering();
    transmit(s, frame(60));
    s.kick(TX);
    expect([s.backend.frames.length, s.tx.usedIndex]).toEqual([1, 0]);
    s.core.writeStatus(31);
    expect([s.core.status, s.tx.usedIndex, s.interruptsOf(TX)]).toEqual([27, 1, 1]);
  });

  it("sends what it had put off when it is resumed, in order", () => {
    const s = gathering();
    flood(s);
    const sent = s.backend.frames.length;
    s.core.writeStatus(31);
    const used = s.tx.usedIndex;
    for (let i = 0; i < 3; i++) s.scheduler.run();
    s.nic.resume();
    expect([s.backend.frames.length, s.tx.usedIndex]).toEqual([sent, used]);
    s.core.writeStatus(31);
    for (let i = 0; i < 3; i++) s.scheduler.run();
    expect(s.backend.frames.map(({ bytes }) => bytes)).toEqual(Array.from({ length: FLOOD }, (_, i) => frame(60, i)));
    expect([sent < FLOOD, s.tx.usedIndex]).toEqual([true, FLOOD]);
  });

  it("keeps frames for the driver waiting at the other end, and shows the link as it was", () => {
    const s = gathering();
    offerBuffers(s, 2, 1536);
    s.core.writeStatus(31);
    expect(s.backend.send(frame(60))).toBe(0);
    expect(s.rx.usedIndex).toBe(0);
    s.core.writeStatus(31);
    s.scheduler.run();
    expect(s.backend.resumed).toBe(1);
    expect(s.backend.send(frame(60))).toBe(1);
    expect(receive(s).map(({ bytes }) => bytes)).toEqual([frame(60)]);
  });
});

describe("a NIC whose queue is reset", () => {
  const renew = (s: Nic, index: number): MockSplitDriver => {
    const driver = new MockSplitDriver(s.memory, { size: 16, base: 0x60_0000 + index * 0x10_0000 });
    s.core.queueSelect = index;
    s.core.resetQueue();
    const queue = s.core.queues[index];
    expect([queue.enabled, queue.resetting, s.core.queueWritable]).toEqual([false, false, true]);
    queue.size = 16;
    queue.setAddress(0, driver.areas.descriptorArea);
    queue.setAddress(1, driver.areas.driverArea);
    queue.setAddress(2, driver.areas.deviceArea);
    return driver;
  };

  it("to send from: what it had put off, or not given back, is forgotten with the ring", () => {
    const s = gathering();
    flood(s);
    const before = { sent: s.backend.frames.length, used: s.tx.usedIndex, interrupts: s.interruptsOf(TX) };
    const anew = renew(s, TX);
    for (let i = 0; i < 3; i++) s.scheduler.run();
    expect({ sent: s.backend.frames.length, used: s.tx.usedIndex, interrupts: s.interruptsOf(TX) }).toEqual(before);
    s.core.enableQueue();
    anew.offer([{ bytes: header() }, { bytes: frame(60, 99) }]);
    s.kick(TX);
    s.scheduler.run();
    expect([s.backend.frames.at(-1)?.bytes, anew.usedIndex, s.faults]).toEqual([frame(60, 99), 1, []]);
  });

  it("to receive into: whoever waits for its buffers goes on, and frames are counted as lost until it is back", () => {
    const s = gathering();
    expect(s.backend.send(frame(60))).toBe(0);
    const anew = renew(s, RX);
    expect([s.backend.resumed, s.backend.send(frame(60, 1))]).toEqual([1, 1]);
    expect(s.nic.counters.dropped.rxNotReady).toBe(1);
    s.core.enableQueue();
    anew.offer([{ length: 1536, writable: true }]);
    s.kick(RX);
    expect([s.backend.send(frame(60, 2)), anew.usedIndex, s.interruptsOf(RX)]).toEqual([1, 1, 1]);
  });
});
