/** Defects known of two other virtio NICs, each shown not to be here. */
import { describe, expect, it } from "vitest";
import { frame, offerBuffers, RX, receive, setupNic, TX, transmit } from "./support/nic.ts";

const EVENT_IDX = 29;
const MRG_RXBUF = 15;

describe("seL4 defect:", () => {
  it("a receive chain too short for the frame is never truncated, and memory behind it is walked", () => {
    const s = setupNic();
    const room = s.rx.allocate(4096);
    s.memory.fill(room, 4096, 0xee);
    s.rx.add([{ address: room, length: 50, writable: true }]);
    s.rx.publish();
    expect(s.backend.send(frame(60))).toBe(1);
    const bytes = new Uint8Array(4096);
    s.memory.read(room, bytes);
    expect(bytes.every((b) => b === 0xee)).toBe(true);
    expect(s.rx.usedIndex).toBe(0);
    expect(s.nic.counters.dropped.rxTooLarge).toBe(1);
  });

  it("no loop bound when walking transmit chains", () => {
    const s = setupNic();
    s.tx.setDescriptor(0, { address: 0x10_0000, length: 100, flags: 1, next: 1 });
    s.tx.setDescriptor(1, { address: 0x10_0000, length: 100, flags: 1, next: 0 });
    s.tx.setAvailIndex(1);
    s.kick(TX);
    expect(s.core.status & 64).toBe(64);
    expect(s.faults[0].cause).toMatchObject({ code: "chain-too-long" });
  });

  it("no index check when walking transmit chains", () => {
    const s = setupNic();
    s.tx.setDescriptor(0, { address: 0x10_0000, length: 100, flags: 1, next: 0xffff });
    s.tx.setAvailIndex(1);
    s.kick(TX);
    expect(s.faults[0].cause).toMatchObject({ code: "next-out-of-range" });
  });

  it("frames over 2048 bytes are silently truncated", () => {
    const s = setupNic({ nic: { mtu: 9000 } });
    transmit(s, frame(9014));
    s.kick(TX);
    expect(s.backend.frames.map((f) => f.bytes)).toEqual([frame(9014)]);
    offerBuffers(s, 1, 10_000);
    s.backend.send(frame(9014, 2));
    expect(receive(s).map((f) => f.bytes)).toEqual([frame(9014, 2)]);
  });

  it("writing status 0 does not reset indices", () => {
    const s = setupNic();
    for (let i = 0; i < 3; i++) transmit(s, frame(60));
    s.kick(TX);
    s.core.writeStatus(0);
    s.tx.setAvailIndex(0);
    s.memory.writeU16(s.tx.areas.deviceArea + 2, 0);
    s.start();
    expect(s.core.status).toBe(15);
    transmit(s, frame(60, 4));
    s.kick(TX);
    expect(s.backend.frames.length).toBe(4);
    expect(s.tx.usedIndex).toBe(1);
  });

  it("DRIVER_OK is never required", () => {
    const s = setupNic({ asleep: true });
    transmit(s, frame(60));
    s.kick(TX);
    s.core.writeStatus(3);
    s.kick(TX);
    expect(s.backend.frames).toEqual([]);
    expect(s.tx.usedIndex).toBe(0);
  });

  it("NO_INTERRUPT is ignored", () => {
    const s = setupNic();
    s.tx.setAvailFlags(1);
    transmit(s, frame(60));
    s.kick(TX);
    expect(s.tx.usedIndex).toBe(1);
    expect(s.interruptsOf(TX)).toBe(0);
  });

  it("a transmission that fails leaks its head", () => {
    const s = setupNic({ size: 4 });
    s.nic.detach();
    for (let i = 0; i < 100; i++) {
      transmit(s, frame(60));
      s.kick(TX);
      expect(s.tx.collect().length).toBe(1);
    }
    expect(s.nic.counters.dropped.txNoLink).toBe(100);
  });

  it("a frame without a receive buffer is dropped silently", () => {
    const s = setupNic();
    expect(s.backend.send(frame(60))).toBe(0);
    expect(s.nic.counters.rx.stalls).toBe(1);
    offerBuffers(s, 1, 100);
    s.kick(RX);
    expect(s.backend.resumed).toBe(1);
  });

  it("a driver can make the machine fail an assertion by queue numbers and features", () => {
    const s = setupNic({ asleep: true });
    for (const index of [2, 255, 65535, -1, 2 ** 32 - 1]) {
      s.core.queueSelect = index;
      s.core.enableQueue();
      s.core.placeLegacyQueue(0x1000, 4096);
      s.kick(index);
    }
    for (const page of [0, 1, 2, 3, 4, 0xffff_ffff]) s.core.writeDriverFeatures(page, 0xffff_ffff);
    s.core.writeStatus(15);
    expect(s.core.status).toBe(3);
  });

  it("one backend per process", () => {
    const [a, b] = [setupNic(), setupNic()];
    transmit(a, frame(60, 1));
    transmit(b, frame(60, 2));
    a.kick(TX);
    b.kick(TX);
    expect(a.backend.frames.map((f) => f.bytes)).toEqual([frame(60, 1)]);
    expect(b.backend.frames.map((f) => f.bytes)).toEqual([frame(60, 2)]);
  });
});

describe("Dragonball defect:", () => {
  it("no reset after DRIVER_OK", () => {
    const s = setupNic();
    s.core.writeStatus(0);
    expect(s.core.status).toBe(0);
    expect(s.nic.accepts).toBe(15);
  });

  it("the configuration's generation never moves", () => {
    const s = setupNic();
    const before = s.core.configGeneration;
    s.nic.linkUp = false;
    expect(s.core.configGeneration).toBe(before + 1);
  });

  it("EVENT_IDX is never used, interrupts are unconditional", () => {
    const s = setupNic({ features: [EVENT_IDX] });
    s.tx.setUsedEvent(5);
    for (let i = 0; i < 7; i++) {
      transmit(s, frame(60));
      s.kick(TX);
    }
    expect(s.interruptsOf(TX)).toBe(1);
  });

  it("a frame is sent again from its start after a short chain", () => {
    const s = setupNic({ features: [MRG_RXBUF] });
    offerBuffers(s, 2, 300);
    expect(s.backend.send(frame(1000))).toBe(0);
    offerBuffers(s, 2, 300);
    expect(s.backend.send(frame(1000))).toBe(1);
    expect(receive(s)).toMatchObject([{ bytes: frame(1000), numBuffers: 4 }]);
  });

  it("the transmit header is not validated", () => {
    const s = setupNic();
    transmit(s, frame(60), Uint8Array.of(1, 1, 255, 255, 0, 0, 255, 255, 255, 255, 0, 0));
    s.kick(TX);
    expect(s.backend.frames).toEqual([]);
    expect(s.nic.counters.dropped.txBadHeader).toBe(1);
  });

  it("a busy loop while the backend's rate is limited", () => {
    const s = setupNic();
    s.backend.room = 0;
    let calls = 0;
    s.backend.onTake = () => void calls++;
    transmit(s, frame(60));
    s.kick(TX);
    for (let i = 0; i < 10; i++) s.scheduler.run();
    expect(calls).toBe(1);
    expect(s.scheduler.tasks).toEqual([]);
  });
});
