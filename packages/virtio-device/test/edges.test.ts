/** Cases at the edge of what the state machine does: each was once a change of its code that no test noticed. */
import { describe, expect, it, test } from "vitest";
import { ConfigSpace, missingOption, type SharedMemoryList } from "../src/index.ts";
import { FlexibleDevice, RecordingDevice } from "../src/testing/index.ts";
import { enableQueue, FLEXIBLE, goLive, later, negotiate, RING_RESET, rig } from "./support/rig.ts";

describe("configuration space", () => {
  it("reads as zeros where the device throws, whatever it had written by then", () => {
    const s = rig(new RecordingDevice());
    s.device.readConfig = (_, data) => {
      data.fill(0xff);
      throw new Error("half way");
    };
    expect([s.core.config.read(0, 4), s.faults.length]).toEqual([0, 1]);
  });

  it("has no writable byte unless it is told of one", () => {
    const space = new ConfigSpace(4);
    expect(space.write(0, Uint8Array.of(1, 2, 3, 4))).toBeNull();
    expect([...space.bytes]).toEqual([0, 0, 0, 0]);
  });
});

test.each([
  [{ memory: [undefined, "a GuestMemory"] }, "memory is undefined: expected a GuestMemory"],
  [{ memory: [null, "a GuestMemory"] }, "memory is null: expected a GuestMemory"],
  [{ memory: [{}, ""], line: ["5", "an InterruptLine"] }, 'line is "5": expected an InterruptLine'],
  [{ memory: [5, "a GuestMemory"] }, "memory is 5: expected a GuestMemory"],
  [{ memory: [{}, ""] }, null],
] as const)("what is missing of %j is named", (required, message) => {
  expect(missingOption(required)).toBe(message);
});

describe("early kicks", () => {
  it("of a queue that is reset before DRIVER_OK are forgotten, those of others are not, and each comes once", () => {
    const s = rig(new FlexibleDevice(), RING_RESET);
    negotiate(s, FLEXIBLE);
    for (const index of [0, 1]) enableQueue(s, index);
    for (const index of [0, 1]) s.core.notify(index);
    expect(s.core.save().earlyKicks).toEqual([0, 1]);
    s.core.queueSelect = 1;
    s.core.resetQueue();
    expect(s.core.save().earlyKicks).toEqual([0]);
    enableQueue(s, 1);
    s.core.writeStatus(15);
    expect(s.device.events.filter((event) => event.startsWith("notify"))).toEqual(["notify 0"]);
    expect(s.core.save().earlyKicks).toEqual([]);
  });

  it("use a legacy device that was restored before it was used", () => {
    const s = rig(new RecordingDevice());
    s.core.writeStatus(3, true);
    const t = rig(new RecordingDevice(), { memory: s.memory });
    t.core.restore(s.core.save());
    t.core.queueSelect = 0;
    t.core.placeLegacyQueue(0x1000, 4096);
    t.core.notify(0);
    expect(t.device.events).toEqual(["activate", "notify 0"]);
  });
});

describe("a driver", () => {
  it("that writes a status bit again has its features judged once", () => {
    const s = rig(new RecordingDevice());
    let asked = 0;
    Object.assign(s.device, { acceptsFeatures: () => ++asked > 0 });
    negotiate(s);
    s.core.writeStatus(11);
    expect([s.core.status, asked]).toEqual([11, 1]);
  });

  it("of the legacy interface does not place a queue that is being reset", () => {
    const s = rig(new FlexibleDevice(), RING_RESET);
    s.core.writeStatus(3, true);
    s.core.queueSelect = 0;
    s.core.placeLegacyQueue(0x1000, 4096);
    s.core.writeStatus(7, true);
    s.device.stopPromise = later().promise;
    s.core.resetQueue();
    s.core.placeLegacyQueue(0x4000, 4096);
    expect([s.core.queues[0].enabled, s.core.queues[0].resetting]).toEqual([false, true]);
  });
});

describe("a device", () => {
  it("without a queue goes live, is suspended, and resumes", () => {
    const s = rig(new FlexibleDevice({ queues: [] }));
    negotiate(s, FLEXIBLE & ~(1n << 40n));
    for (const [written, read] of [
      [15, 15],
      [31, 27],
      [15, 15],
    ]) {
      s.core.writeStatus(written);
      expect(s.core.status).toBe(read);
    }
    expect(s.device.events).toEqual(["activate"]);
  });

  it("is given the shared memory that its transport has", () => {
    const sharedMemory = { guestAddress: 0, size: 0, regions: [] } as unknown as SharedMemoryList;
    const s = rig(new RecordingDevice(), { sharedMemory });
    goLive(s);
    expect(s.device.context?.sharedMemory).toBe(sharedMemory);
  });
});

describe("saved state", () => {
  it("of a queue that is enabled, but not there, is refused", () => {
    const s = rig(new RecordingDevice({ queues: [16, 0] }));
    const state = s.core.save();
    const [first, second] = state.queues;
    const tampered = { ...state, status: 1, queues: [first, { ...second, enabled: true }] };
    expect(() => s.core.restore(tampered)).toThrow(expect.objectContaining({ code: "state" }));
  });

  it("keeps configuration of all ones", () => {
    const s = rig(new FlexibleDevice(), RING_RESET);
    goLive(s, FLEXIBLE);
    s.device.config.bytes.fill(255);
    s.core.writeStatus(31);
    const t = rig(new FlexibleDevice(), { ...RING_RESET, memory: s.memory });
    t.core.restore(JSON.parse(JSON.stringify(s.core.save())));
    expect(t.core.config.read(4, 4)).toBe(0xffff_ffff);
  });
});
