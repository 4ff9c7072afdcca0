/**
 * What the driver sees of the cable (5.1.4, `status`): the NIC's own switch, whether something is connected, and whether
 * that link is up. QEMU's `set_link` tells both ends likewise.
 */
import { connect, Switch } from "@virtio-ts/net-link";
import { describe, expect, it } from "vitest";
import { frame, offerBuffers, RX, receive, setupNic, TestBackend, TX, transmit } from "./support/nic.ts";

const STATUS = 16;

/** A NIC that is not connected, and how often its driver was told of a change, with what it then saw. */
function bare(options: Parameters<typeof setupNic>[0] = {}) {
  const s = setupNic({ features: [STATUS], ...options });
  s.nic.detach();
  const told = s.interrupts.configCount;
  const status = (): number => s.core.config.read(6, 2);
  return { ...s, status, seen: () => [status(), s.interrupts.configCount - told] };
}

describe("the carrier", () => {
  it("is off while nothing is connected, comes with a link and goes with it", () => {
    const s = bare();
    expect(s.seen()).toEqual([0, 0]);
    const link = connect(s.nic, new TestBackend());
    expect(s.seen()).toEqual([1, 1]);
    link.disconnect();
    expect(s.seen()).toEqual([0, 2]);
    connect(new TestBackend(), s.nic);
    expect(s.seen()).toEqual([1, 3]);
  });

  it("follows the link, whichever end of it the NIC is", () => {
    for (const first of [true, false]) {
      const s = bare();
      const far = new TestBackend();
      const link = first ? connect(s.nic, far) : connect(far, s.nic);
      link.up = false;
      expect([...s.seen(), s.nic.carrier, s.nic.linkUp]).toEqual([0, 2, false, true]);
      link.up = true;
      expect([...s.seen(), s.nic.carrier, s.nic.linkUp]).toEqual([1, 3, true, true]);
    }
  });

  it("reaches both guests of a link that goes down", () => {
    const [a, b] = [bare(), bare()];
    const link = connect(a.nic, b.nic);
    link.up = false;
    expect([a.seen(), b.seen()]).toEqual([
      [0, 2],
      [0, 2],
    ]);
  });

  it("is on only while switch and cable both are, and the driver is told of nothing else", () => {
    const s = bare();
    s.nic.linkUp = false;
    const link = connect(s.nic, new TestBackend());
    expect(s.seen()).toEqual([0, 0]);
    link.up = false;
    s.nic.linkUp = true;
    expect(s.seen()).toEqual([0, 0]);
    link.up = true;
    expect(s.seen()).toEqual([1, 1]);
    s.nic.linkUp = false;
    link.up = false;
    expect(s.seen()).toEqual([0, 2]);
    link.disconnect();
    s.nic.linkUp = true;
    expect(s.seen()).toEqual([0, 2]);
    connect(s.nic, new TestBackend());
    expect(s.seen()).toEqual([1, 3]);
  });

  it("outlives a reset of the device, as the cable does", () => {
    const s = bare();
    const link = connect(s.nic, new TestBackend());
    s.core.writeStatus(0);
    s.start([STATUS]);
    expect(s.status()).toBe(1);
    link.up = false;
    s.core.writeStatus(0);
    s.start([STATUS]);
    expect(s.status()).toBe(0);
  });

  it("that is off loses frames of both directions, counted, and what waits goes there too", () => {
    const s = bare();
    const far = new TestBackend();
    const link = connect(s.nic, far);
    far.room = 0;
    transmit(s, frame(60));
    s.kick(TX);
    expect(far.send(frame(60, 1))).toBe(0);
    link.up = false;
    expect(s.tx.collect().length).toBe(1);
    expect(far.resumed).toBe(1);
    expect(far.send(frame(60, 1))).toBe(1);
    transmit(s, frame(60));
    s.kick(TX);
    expect(s.nic.counters.dropped.txNoLink).toBe(2);
    expect(link.bToA.droppedDown).toBe(1);
    link.up = true;
    far.room = 9;
    offerBuffers(s, 2, 100);
    s.kick(RX);
    far.send(frame(60, 2));
    transmit(s, frame(60, 3));
    s.kick(TX);
    expect(receive(s).map(({ bytes }) => bytes)).toEqual([frame(60, 2)]);
    expect(far.frames.map(({ bytes }) => bytes)).toEqual([frame(60, 3)]);
  });

  it("is where a switch looks for nobody when it is off", () => {
    const s = bare();
    const lan = new Switch();
    const link = connect(s.nic, lan.addPort());
    transmit(s, frame(60));
    s.kick(TX);
    expect(lan.addresses.size).toBe(1);
    link.up = false;
    expect(lan.addresses.size).toBe(0);
  });
});

describe("a driver that is restored", () => {
  const saved = (up: boolean) => {
    const s = bare();
    const link = connect(s.nic, new TestBackend());
    link.up = up;
    return { memory: s.memory, state: JSON.parse(JSON.stringify(s.core.save())) };
  };

  it.each([
    [true, true, 0],
    [true, false, 1],
    [false, true, 1],
    [false, false, 0],
  ])("and saw a carrier: %s, where there is one: %s, is told %i times", (before, now, times) => {
    const { memory, state } = saved(before);
    const t = bare({ memory, offset: 0x10_0000, asleep: true });
    if (now) connect(t.nic, new TestBackend());
    t.core.restore(state);
    t.scheduler.run();
    expect(t.seen()).toEqual([Number(now), times]);
    t.core.writeStatus(0);
    t.start([STATUS]);
    t.scheduler.run();
    expect(t.seen()).toEqual([Number(now), times]);
  });

  it("and saved again before it was told, is told in the end", () => {
    const { memory, state } = saved(true);
    const t = bare({ memory, offset: 0x10_0000, asleep: true });
    t.core.restore(state);
    const u = bare({ memory, offset: 0x20_0000, asleep: true });
    u.core.restore(JSON.parse(JSON.stringify(t.core.save())));
    u.scheduler.run();
    expect(u.seen()).toEqual([0, 1]);
  });
});
