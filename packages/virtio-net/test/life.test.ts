import { connect, OFFLOAD_ALL } from "@virtio-ts/net-link";
import { describe, expect, it } from "vitest";
import {
  concat,
  frame,
  header,
  offerBuffers,
  RX,
  receive,
  setupNic,
  TestBackend,
  TX,
  transmit,
} from "./support/nic.ts";

const CSUM = 0;
const GUEST_CSUM = 1;
const GUEST_TSO4 = 7;
const HOST_TSO4 = 11;
const STATUS = 16;

describe("the link (5.1.4)", () => {
  it("is up from the start, and the driver is told when it is not", () => {
    const s = setupNic({ features: [STATUS] });
    expect(s.core.config.read(6, 2)).toBe(1);
    s.nic.linkUp = false;
    expect(s.core.config.read(6, 2)).toBe(0);
    expect(s.interrupts.configCount).toBe(1);
    expect(s.core.configGeneration).toBe(1);
    s.nic.linkUp = false;
    expect(s.interrupts.configCount).toBe(1);
    s.nic.linkUp = true;
    expect(s.core.config.read(6, 2)).toBe(1);
    expect(s.interrupts.configCount).toBe(2);
  });

  it("may be switched while there is no driver, who sees it when it comes", () => {
    const s = setupNic({ asleep: true, features: [STATUS] });
    s.nic.linkUp = false;
    expect(s.backend.resumed).toBe(1);
    s.start();
    expect([s.core.config.read(6, 2), s.interrupts.configCount]).toEqual([0, 0]);
  });

  it("that is down loses frames of both directions, and counts them", () => {
    const s = setupNic();
    offerBuffers(s, 4, 200);
    s.nic.linkUp = false;
    transmit(s, frame(60));
    s.kick(TX);
    expect(s.backend.send(frame(60), frame(60))).toBe(2);
    expect(s.tx.collect().length).toBe(1);
    expect(s.rx.usedIndex).toBe(0);
    expect(s.nic.counters.dropped).toMatchObject({ txNoLink: 1, rxNotReady: 2 });
    s.nic.linkUp = true;
    transmit(s, frame(60, 2));
    s.kick(TX);
    s.backend.send(frame(60, 3));
    expect(s.backend.frames.map((f) => f.bytes)).toEqual([frame(60, 2)]);
    expect(receive(s).map((f) => f.bytes)).toEqual([frame(60, 3)]);
  });

  it("that goes down frees what waits on either side", () => {
    const s = setupNic();
    s.backend.room = 0;
    transmit(s, frame(60));
    s.kick(TX);
    expect(s.backend.send(frame(60))).toBe(0);
    s.nic.linkUp = false;
    expect(s.tx.collect().length).toBe(1);
    expect(s.backend.resumed).toBe(1);
    expect(s.nic.counters.dropped.txNoLink).toBe(1);
  });
});

describe("a NIC with nothing connected", () => {
  it("takes the driver's frames and counts them as lost", () => {
    const s = setupNic();
    s.nic.detach();
    transmit(s, frame(60));
    s.kick(TX);
    s.kick(RX);
    expect(s.tx.collect().length).toBe(1);
    expect(s.nic.counters.dropped.txNoLink).toBe(1);
    expect(s.core.status).toBe(15);
  });

  it("sends on once something is, and frees what waited when it goes", () => {
    const s = setupNic();
    s.nic.detach();
    const other = new TestBackend();
    s.nic.attach(other);
    other.room = 0;
    transmit(s, frame(60));
    s.kick(TX);
    expect(s.tx.usedIndex).toBe(0);
    s.nic.detach();
    expect(s.tx.usedIndex).toBe(1);
  });

  it("two of them can be joined back to back", () => {
    const a = setupNic();
    const b = setupNic();
    connect(a.nic, b.nic);
    offerBuffers(b, 2, 200);
    transmit(a, frame(60));
    a.kick(TX);
    expect(receive(b).map((f) => f.bytes)).toEqual([frame(60)]);
    transmit(a, frame(60, 2));
    transmit(a, frame(60, 3));
    a.kick(TX);
    expect(a.tx.collect().length).toBe(2);
    expect(receive(b).map((f) => f.bytes)).toEqual([frame(60, 2)]);
    offerBuffers(b, 1, 200);
    b.kick(RX);
    expect(a.tx.collect().length).toBe(1);
    expect(receive(b).map((f) => f.bytes)).toEqual([frame(60, 3)]);
  });
});

describe("reset (2.4)", () => {
  it("in the middle of a burst leaves the rings alone from then on [basic.device.device-reset.2]", () => {
    const s = setupNic();
    offerBuffers(s, 4, 200);
    s.backend.onTake = () => s.core.writeStatus(0);
    transmit(s, frame(60));
    transmit(s, frame(60));
    s.kick(TX);
    expect(s.core.status).toBe(0);
    expect(s.tx.usedIndex).toBe(0);
    expect(s.interrupts.queueCounts).toEqual([]);
    s.backend.send(frame(60));
    s.nic.resume();
    s.kick(TX);
    expect([s.tx.usedIndex, s.rx.usedIndex]).toEqual([0, 0]);
  });

  it("with frames that wait: the sender is told, and they are dropped", () => {
    const s = setupNic();
    s.backend.resume = () => void s.backend.send(frame(60));
    expect(s.backend.send(frame(60))).toBe(0);
    s.core.writeStatus(0);
    expect(s.nic.counters.dropped.rxNotReady).toBe(1);
  });

  it("with a backend that is full: the next driver starts anew", () => {
    const s = setupNic();
    s.backend.room = 0;
    transmit(s, frame(60, 1));
    s.kick(TX);
    s.core.writeStatus(0);
    s.backend.room = 100;
    s.nic.resume();
    expect(s.backend.frames).toEqual([]);
    const next = setupNic({ memory: s.memory, asleep: true });
    next.nic.attach(s.backend);
    next.start();
    transmit(next, frame(60, 2));
    next.kick(TX);
    expect(s.backend.frames.map((f) => f.bytes)).toEqual([frame(60, 2)]);
  });

  it("and all over again, a hundred times", () => {
    const s = setupNic({ asleep: true });
    for (let i = 0; i < 100; i++) {
      for (const queue of [s.rx, s.tx]) {
        queue.setAvailIndex(0);
        s.memory.writeU16(queue.areas.deviceArea + 2, 0);
      }
      s.start();
      expect(s.core.status).toBe(15);
      s.memory.write(0x20_0000, concat(header(), frame(60)));
      s.tx.setDescriptor(0, { address: 0x20_0000, length: 72, flags: 0 });
      s.tx.setAvail(0, 0);
      s.tx.setAvailIndex(1);
      s.kick(TX);
      s.core.writeStatus(0);
    }
    expect(s.backend.frames.length).toBe(100);
  });

  it("removal lets go of the link", async () => {
    const s = setupNic();
    await s.core.remove();
    expect(s.nic.peer).toBeNull();
  });
});

describe("kicks and frames before DRIVER_OK", () => {
  it("are late, not lost", () => {
    const s = setupNic({ asleep: true });
    transmit(s, frame(60));
    s.core.writeStatus(3);
    s.kick(TX);
    expect(s.backend.frames).toEqual([]);
    s.start();
    expect(s.backend.frames.map((f) => f.bytes)).toEqual([frame(60)]);
  });

  it("a legacy driver's are served at once [basic.legacy.both.legacy-interface-device-initialization.3]", () => {
    const s = setupNic({ asleep: true, legacy: true });
    s.core.writeStatus(3, true);
    for (const [index, driver] of [s.rx, s.tx].entries()) {
      s.core.queueSelect = index;
      s.core.selectedQueue?.setAddress(0, driver.areas.descriptorArea);
      s.core.selectedQueue?.setAddress(1, driver.areas.driverArea);
      s.core.selectedQueue?.setAddress(2, driver.areas.deviceArea);
      s.core.enableQueue();
      s.kick(index);
    }
    transmit(s, frame(60), new Uint8Array(10));
    s.kick(TX);
    offerBuffers(s, 1, 200);
    s.backend.send(frame(60, 2));
    expect(s.core.status).toBe(3);
    expect(s.backend.frames.map((f) => f.bytes)).toEqual([frame(60)]);
    expect(receive(s, 10).map((f) => f.bytes)).toEqual([frame(60, 2)]);
  });

  it("a device whose driver left a queue out works with the other", () => {
    const s = setupNic({ asleep: true });
    s.core.writeDriverFeatures(1, 1);
    s.core.writeStatus(11);
    s.core.queueSelect = TX;
    s.core.selectedQueue?.setAddress(0, s.tx.areas.descriptorArea);
    s.core.selectedQueue?.setAddress(1, s.tx.areas.driverArea);
    s.core.selectedQueue?.setAddress(2, s.tx.areas.deviceArea);
    s.core.enableQueue();
    s.core.writeStatus(15);
    transmit(s, frame(60));
    s.kick(TX);
    s.kick(RX);
    expect(s.backend.send(frame(60))).toBe(1);
    expect(s.backend.frames.length).toBe(1);
    expect(s.nic.counters.dropped.rxNotReady).toBe(1);
  });
});

describe("another NIC on the same memory", () => {
  it("goes on when this one's driver is hostile", () => {
    const s = setupNic();
    const other = setupNic({ memory: s.memory, offset: 0x10_0000 });
    s.tx.setAvailIndex(0x7fff);
    s.kick(TX);
    expect(s.core.status).toBe(15 | 64);
    transmit(other, frame(60));
    other.kick(TX);
    offerBuffers(other, 1, 200);
    other.backend.send(frame(60, 2));
    expect(other.backend.frames.length).toBe(1);
    expect(receive(other).map((f) => f.bytes)).toEqual([frame(60, 2)]);
    expect(other.core.status).toBe(15);
  });
});

describe("what one driver negotiated", () => {
  it("ends with it: until the next one, frames of every kind are taken, to be dropped; then as that one wants them", () => {
    const s = setupNic({ features: [GUEST_CSUM, GUEST_TSO4] });
    expect(s.nic.accepts).toBe(1 | 2);
    s.core.writeStatus(0);
    expect(s.nic.accepts).toBe(OFFLOAD_ALL);
    const second = setupNic();
    expect(second.nic.accepts).toBe(0);
    second.core.writeStatus(0);
    expect(second.nic.accepts).toBe(OFFLOAD_ALL);
  });

  it("is nothing to the next one: it is sent no offloads, and its own are refused, where it has negotiated none", () => {
    const features = [CSUM, GUEST_CSUM, HOST_TSO4, GUEST_TSO4];
    const s = setupNic({ features });
    s.core.writeStatus(0);
    s.start([]);
    expect(s.nic.accepts).toBe(0);
    transmit(s, frame(60), header({ flags: 1, csumStart: 34, csumOffset: 16 }));
    s.kick(TX);
    expect([s.backend.frames.length, s.nic.counters.dropped.txBadHeader]).toEqual([0, 1]);
  });
});
