/**
 * Resets, kicks and snapshots where nobody expects them, seen from the machine: nothing throws, nothing of the time
 * before a reset goes on after it, and the other card on the bus works on.
 */

import type { CoreState } from "@virtio-ts/virtio-device";
import { randomNumbers as random } from "@virtio-ts/virtio-device/testing";
import { describe, expect, it } from "vitest";
import { frame, type Interface, RX, TX } from "./support/nic.ts";
import { Pair } from "./support/pair.ts";
import { WRITE } from "./support/ring.ts";

const faces: readonly Interface[] = ["modern", "legacy"];

describe.each(faces)("a reset by a %s driver", (face) => {
  it("is good after every single step of bringing the card up", () => {
    const pair = new Pair(face);
    const { victim } = pair;
    const { registers, rx, tx } = victim;
    const steps = [
      () => registers.setStatus(1),
      () => registers.setStatus(3),
      () => registers.accept(1n << 32n),
      () => registers.setStatus(face === "modern" ? 11 : 3),
      () => registers.place(RX, rx),
      () => registers.place(TX, tx),
      () => registers.setStatus(face === "modern" ? 15 : 7),
      () => victim.postBuffers(4),
      () => victim.send(frame(1)),
      () => victim.wire.send(frame(2)),
    ];
    for (let until = 0; until <= steps.length; until++) {
      victim.reset();
      expect(registers.status()).toBe(0);
      for (const step of steps.slice(0, until)) step();
      registers.setStatus(0);
      expect(registers.status(), `after ${until} steps`).toBe(0);
      pair.expectRecovery();
    }
    expect(victim.faults).toEqual([]);
  });

  it("with frames in flight both ways leaves none of them behind [basic.device.device-reset.2]", () => {
    const pair = new Pair(face);
    const { victim, machine } = pair;
    victim.postBuffers(8);
    victim.wire.full = true;
    victim.send(frame(1), frame(2), frame(3));
    victim.registers.setStatus(0);
    const before = machine.memory.regions[0].u8.slice();
    victim.wire.drain();
    expect(victim.wire.send(frame(4))).toBe(true); // taken, and dropped: there is no driver
    victim.registers.kick(TX);
    victim.registers.kick(RX);
    expect(victim.wire.frames).toEqual([]);
    expect(Buffer.compare(machine.memory.regions[0].u8, before)).toBe(0);
    expect(victim.registers.isr()).toBe(0);
    expect(machine.lineLog.levels.includes(true)).toBe(false);
    pair.expectRecovery();
  });

  it("lets go of work that was left for a later turn", async () => {
    const pair = new Pair(face, { ringSize: 1024 });
    const { victim, machine } = pair;
    const at = victim.txBuffer(0);
    machine.memory.fill(at, 80);
    for (let i = 0; i < 1024; i++) {
      victim.tx.descriptor(i, at, 80);
      victim.tx.offer(i);
    }
    victim.registers.kick(TX);
    const sent = victim.wire.frames.length;
    expect(sent).toBeLessThan(1024);
    victim.registers.setStatus(0);
    await new Promise((resolve) => setTimeout(resolve, 10));
    expect(victim.wire.frames.length).toBe(sent);
    pair.expectRecovery();
  });

  it("can be repeated ten thousand times", () => {
    const pair = new Pair(face);
    for (let i = 0; i < 10_000; i++) pair.victim.registers.setStatus(0);
    for (let i = 0; i < 100; i++) pair.victim.up();
    pair.expectRecovery();
  });
});

describe.each(faces)("kicks by a %s driver", (face) => {
  it("for queues that are not there are counted and lost", () => {
    const pair = new Pair(face);
    const { counters } = pair.victim.attachment.transport.core;
    const before = counters.strayKicks;
    for (const index of [2, 3, 255, 0xffff]) {
      if (face === "legacy") pair.victim.registers.kick(index);
      else pair.victim.attachment.transport.core.notify(index);
    }
    expect(counters.strayKicks - before).toBe(4);
    pair.victim.expectWorks();
    pair.bystander.expectWorks();
  });

  it("after a reset do nothing", () => {
    const pair = new Pair(face);
    const { victim } = pair;
    victim.registers.setStatus(0);
    for (let i = 0; i < 4; i++) victim.send(frame(i));
    expect(victim.wire.frames).toEqual([]);
    expect(victim.tx.takeUsed()).toEqual([]);
    pair.expectRecovery();
  });

  it("by the hundred thousand cost nothing that lasts [split.device.available-buffer-notification-suppression.5]", async () => {
    const pair = new Pair(face);
    const { victim } = pair;
    for (let i = 0; i < 100_000; i++) {
      victim.registers.kick(i & 1);
      if (i % 20_000 === 0) pair.bystander.expectWorks();
    }
    await new Promise((resolve) => setTimeout(resolve, 0));
    expect(pair.machine.lineLog.levels.includes(true)).toBe(false);
    victim.expectWorks();
  });
});

describe("a card that its machine takes away", () => {
  it("is gone from bus, ports and interrupt, in the middle of its work, and its wire is free", async () => {
    const pair = new Pair("legacy");
    const { victim, machine, bystander } = pair;
    victim.postBuffers(8);
    victim.wire.full = true;
    victim.send(frame(1));
    await machine.devices.remove("victim");
    expect(victim.config.read(0, 4)).toBe(0xffff_ffff);
    expect(victim.registers.status()).toBe(0xff);
    victim.registers.setStatus(0);
    victim.registers.kick(TX);
    victim.wire.drain();
    victim.wire.send(frame(2));
    expect(victim.wire.frames).toEqual([]);
    bystander.expectWorks();
  });
});

describe("a snapshot of a card", () => {
  /** Takes the victim's state, and puts a card in reset in its place. */
  function saved(pair: Pair): CoreState {
    const { core } = pair.victim.attachment.transport;
    pair.victim.postBuffers(4);
    const state = structuredClone(core.save());
    core.reset();
    return state;
  }

  it("goes on where it was taken", () => {
    const pair = new Pair("modern");
    const state = saved(pair);
    pair.victim.attachment.transport.core.restore(JSON.parse(JSON.stringify(state)));
    pair.victim.expectWorks();
  });

  it("that was truncated, at any of its fields, is refused and changes nothing", () => {
    const pair = new Pair("modern");
    const state = saved(pair);
    const { core } = pair.victim.attachment.transport;
    for (const key of Object.keys(state)) {
      const part: Record<string, unknown> = { ...state };
      delete part[key];
      expect(() => core.restore(part), key).toThrow();
      expect(core.status).toBe(0);
    }
    for (const junk of [null, undefined, 0, "", [], {}, "x".repeat(1000)]) expect(() => core.restore(junk)).toThrow();
    pair.expectRecovery();
  });

  it("with any of its numbers changed is refused, or harms nobody", () => {
    const pair = new Pair("modern");
    const state = saved(pair);
    const { core } = pair.victim.attachment.transport;
    const next = random(7);
    const values = [-1, 0.5, Number.NaN, 2 ** 31, 2 ** 32, 2 ** 53, 0xffff, 0x1_0000, "1", null, true, [], {}];
    for (const path of numbersIn(state)) {
      for (const value of [...values, next(2 ** 32), next(0x1_0000)]) {
        const hostile = structuredClone(state);
        put(hostile, path, value);
        tolerate(() => core.restore(hostile));
        pair.victim.registers.kick(TX);
        pair.victim.wire.send(frame(1));
        core.reset();
      }
      pair.bystander.expectWorks();
    }
    pair.expectRecovery();
  });

  it("over rings that changed meanwhile is no more dangerous than a driver", () => {
    const pair = new Pair("modern");
    const state = saved(pair);
    const { victim } = pair;
    victim.rx.descriptor(0, 2 ** 40, 0xffff_ffff, WRITE);
    victim.tx.setAvailIndex(0x8000);
    tolerate(() => victim.attachment.transport.core.restore(state));
    victim.registers.kick(TX);
    victim.wire.send(frame(1));
    pair.expectRecovery();
  });
});

/** Runs what may be refused: by a typed error, and no other. */
function tolerate(run: () => void): void {
  try {
    run();
  } catch (error) {
    expect((error as Error).name).toBe("RestoreError");
  }
}

/** Paths to every number and truth value in plain data. */
function numbersIn(value: unknown, path: readonly string[] = []): (readonly string[])[] {
  if (typeof value === "number" || typeof value === "boolean") return [path];
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => numbersIn(inner, [...path, key]));
}

function put(target: unknown, path: readonly string[], value: unknown): void {
  let at = target as Record<string, unknown>;
  for (const key of path.slice(0, -1)) at = at[key] as Record<string, unknown>;
  at[path.at(-1)!] = value;
}
