import { feature, STATUS_DEVICE_NEEDS_RESET, STATUS_DRIVER_OK, STATUS_FAILED } from "@virtio-ts/virtio-bindings";
import { QueueFault } from "@virtio-ts/virtio-queue";
import { MockSplitDriver } from "@virtio-ts/virtio-queue/testing";
import { describe, expect, it } from "vitest";
import { ActivateError, type DeviceFault, type VirtioDevice } from "../src/index.ts";
import { RecordingDevice } from "../src/testing/index.ts";
import { enableQueue, goLive, negotiate, type Rig, rig, WorkingDevice } from "./support/rig.ts";

function setup(device: RecordingDevice = new RecordingDevice({ features: feature(0, 5) })): Rig {
  return rig(device);
}

describe("device status (2.1)", () => {
  it("starts at 0 and takes the driver's steps in their order", () => {
    const s = setup();
    expect(s.core.status).toBe(0);
    negotiate(s);
    expect(s.core.status).toBe(11);
    s.core.writeStatus(15);
    expect(s.core.status).toBe(15);
    expect(s.device.events).toEqual(["activate"]);
  });

  it("takes several steps in one write", () => {
    const s = setup();
    s.core.writeDriverFeatures(1, 1);
    s.core.writeStatus(15);
    expect(s.core.status).toBe(15);
  });

  it.each([
    ["DRIVER without ACKNOWLEDGE", [2]],
    ["FEATURES_OK without DRIVER", [1, 9]],
    ["DRIVER_OK without FEATURES_OK", [3, 7]],
    ["DRIVER_OK alone", [4]],
  ])("sets DEVICE_NEEDS_RESET on %s [basic.device.device-status-field.2]", (_, writes) => {
    const s = setup();
    s.core.writeDriverFeatures(1, 1);
    for (const value of writes) s.core.writeStatus(value);
    expect(s.core.status & STATUS_DEVICE_NEEDS_RESET).toBe(STATUS_DEVICE_NEEDS_RESET);
    expect(s.core.status & STATUS_DRIVER_OK).toBe(0);
    expect(s.faults.map((f) => f.code)).toEqual(["status-order"]);
    expect(s.device.events).toEqual([]);
  });

  it("ignores attempts to clear bits one by one", () => {
    const s = setup();
    goLive(s);
    s.core.writeStatus(7);
    s.core.writeStatus(1);
    expect(s.core.status).toBe(15);
  });

  it("keeps FAILED until a reset, and does not activate a failed device", () => {
    const s = setup();
    negotiate(s);
    s.core.writeStatus(STATUS_FAILED | 11);
    s.core.writeStatus(STATUS_FAILED | 15);
    expect(s.core.status).toBe(STATUS_FAILED | 11);
    expect(s.device.events).toEqual([]);
    s.core.writeStatus(0);
    expect(s.core.status).toBe(0);
  });

  it("notifies a live driver of DEVICE_NEEDS_RESET, once [basic.device.device-status-field.3]", () => {
    const s = setup();
    goLive(s);
    const fault = { code: "device-error", message: "broken" } as DeviceFault;
    s.device.context?.fail(fault);
    s.device.context?.fail(fault);
    expect(s.core.status).toBe(15 | STATUS_DEVICE_NEEDS_RESET);
    expect(s.interrupts.configCount).toBe(1);
    expect(s.core.counters.faults).toBe(2);
  });

  it("does not notify a driver that is not live", () => {
    const s = setup();
    s.core.writeStatus(4);
    expect(s.interrupts.configCount).toBe(0);
  });
});

describe("feature negotiation (2.2)", () => {
  it("offers VERSION_1 with what the device and the rings can do [basic.device.reserved-feature-bits.1]", () => {
    const { core } = setup();
    expect(core.deviceFeatures(0)).toBe(0x3000_0021);
    expect(core.deviceFeatures(1)).toBe(1);
    expect(core.deviceFeatures(2)).toBe(0);
    expect(core.deviceFeatures(0xffff_ffff)).toBe(0);
  });

  it("offers ANY_LAYOUT to legacy drivers, and to them alone [basic.legacy.both.legacy-interface-reserved-feature-bits.2]", () => {
    const { core } = setup();
    expect(core.deviceFeatures(0, true)).toBe(0x3800_0021);
    expect(core.deviceFeatures(0, false) & 0x0800_0000).toBe(0);
  });

  it("offers legacy drivers the low 32 bits and no others", () => {
    const { core } = setup(new RecordingDevice({ features: feature(0, 42, 64, 127) }));
    expect([0, 1, 2, 3, 4].map((page) => core.deviceFeatures(page))).toEqual([0x3000_0001, 0x401, 1, 0x8000_0000, 0]);
    expect([0, 1, 2, 3, 4].map((page) => core.deviceFeatures(page, true))).toEqual([0x3800_0001, 0, 0, 0, 0]);
  });

  it("shows the driver what it has written, page by page", () => {
    const { core } = setup();
    [1, 0x20, 0x8000_0000, 0xffff_ffff, 7].forEach((value, page) => void core.writeDriverFeatures(page, value));
    expect([0, 1, 2, 3, 4].map((page) => core.features.writtenPage(page))).toEqual([
      1, 0x20, 0x8000_0000, 0xffff_ffff, 0,
    ]);
  });

  it("tells the device what was negotiated, and no more", () => {
    const s = setup();
    goLive(s, feature(5));
    expect([0, 5, 31, 32, 33, 127].map((bit) => s.device.context?.has(bit))).toEqual([
      false,
      true,
      false,
      true,
      false,
      false,
    ]);
  });

  it("does not set FEATURES_OK for a bit that was not offered [basic.device.feature-bits.2]", () => {
    const s = setup();
    negotiate(s, 2n);
    expect(s.core.status).toBe(3);
    s.core.writeDriverFeatures(0, 1);
    s.core.writeStatus(11);
    expect(s.core.status).toBe(11);
    expect(s.core.negotiated).toBe(0x1_0000_0001n);
  });

  it("goes on with a driver that leaves VERSION_1 out, as one without it [basic.device.reserved-feature-bits.2]", () => {
    const s = setup();
    s.core.writeStatus(3);
    s.core.writeStatus(11);
    expect(s.core.status).toBe(11);
    s.core.writeStatus(15);
    expect([s.core.status, s.core.legacy, s.device.context?.features]).toEqual([15, false, 0n]);
  });

  it("does not set FEATURES_OK where the device can't work with the subset", () => {
    class Picky extends RecordingDevice {
      acceptsFeatures(features: bigint): boolean {
        return (features & 1n) === 1n;
      }
    }
    const s = setup(new Picky({ features: 1n }));
    negotiate(s, 0n);
    expect(s.core.status).toBe(3);
    s.core.writeDriverFeatures(0, 1);
    s.core.writeStatus(11);
    expect(s.core.status).toBe(11);
  });

  it("ignores features written after FEATURES_OK", () => {
    const s = setup();
    negotiate(s, 1n);
    s.core.writeDriverFeatures(0, 0x20);
    expect(s.core.negotiated).toBe(0x1_0000_0001n);
  });

  it("accepts the same features again after a reset [basic.device.feature-bits.4]", () => {
    const s = setup();
    for (let i = 0; i < 3; i++) {
      negotiate(s, 0x21n);
      expect(s.core.status).toBe(11);
      s.core.writeStatus(0);
    }
  });

  it("takes a driver of the legacy interface without FEATURES_OK, for what is offered of what it wrote [basic.legacy.both.legacy-interface-a-note-on-feature-bits.2]", () => {
    const s = setup();
    s.core.writeStatus(1, true);
    s.core.writeStatus(3, true);
    s.core.writeDriverFeatures(0, 0xffff_ffff);
    s.core.writeStatus(7, true);
    expect(s.core.status).toBe(7);
    expect(s.device.context?.features).toBe(0x3800_0021n);
    expect(s.device.context?.has(32)).toBe(false);
  });
});

describe("queues (2.6)", () => {
  it("hands the enabled queues to the device, and no others", () => {
    const s = setup();
    negotiate(s);
    enableQueue(s, 1);
    s.core.writeStatus(15);
    expect(s.device.context?.queues.map((q) => q?.index ?? null)).toEqual([null, 1]);
  });

  it("reads a queue that does not exist as none, and enables nothing", () => {
    const s = setup();
    s.core.queueSelect = 77;
    expect(s.core.selectedQueue).toBeNull();
    expect(s.core.queueWritable).toBe(false);
    s.core.enableQueue();
    s.core.queueSelect = -1;
    expect(s.core.selectedQueue).toBeNull();
  });

  it("does not let an enabled or live queue be written", () => {
    const s = setup();
    negotiate(s);
    enableQueue(s, 0);
    expect(s.core.queueWritable).toBe(false);
    s.core.queueSelect = 1;
    expect(s.core.queueWritable).toBe(true);
    s.core.writeStatus(15);
    expect(s.core.queueWritable).toBe(false);
  });

  it.each([
    ["outside memory", 0x10_0000, 16],
    ["misaligned", 0x1004, 16],
    ["at 2^63", 2 ** 63, 16],
    ["of no power of two", 0x1000, 3],
    ["above its largest size", 0x1000, 32],
  ])("refuses to go live with a queue %s, and works after a reset", (_, address, size) => {
    const s = setup();
    negotiate(s);
    s.core.queueSelect = 0;
    const queue = s.core.selectedQueue;
    if (queue !== null) queue.size = size;
    queue?.setAddress(0, address);
    queue?.setAddress(1, 0x2000);
    queue?.setAddress(2, 0x3000);
    s.core.enableQueue();
    s.core.writeStatus(15);
    expect(s.core.status).toBe(11 | STATUS_DEVICE_NEEDS_RESET);
    expect(s.faults.map((f) => f.code)).toEqual(["queue-config"]);
    s.core.writeStatus(0);
    goLive(s);
    expect(s.core.status).toBe(15);
  });

  it("a control queue comes last", () => {
    class WithControl extends RecordingDevice {
      readonly controlQueueMaxSize = 4;
    }
    const { core } = setup(new WithControl());
    expect(core.queues.map((q) => q.maxSize)).toEqual([16, 16, 4]);
  });

  it("a control queue of no entries is none", () => {
    class WithoutControl extends RecordingDevice {
      readonly controlQueueMaxSize = 0;
    }
    const { core } = setup(new WithoutControl());
    expect([core.queueCount, core.queues.map((q) => q.maxSize)]).toEqual([2, [16, 16]]);
  });

  it("one that stops, since it is malformed, is named to the machine, with the cause", () => {
    const s = setup(new WorkingDevice());
    const driver = new MockSplitDriver(s.memory);
    negotiate(s);
    enableQueue(s, 1, driver);
    s.core.writeStatus(15);
    driver.setAvail(0, 999);
    driver.setAvailIndex(1);
    s.core.notify(1);
    const [fault] = s.faults;
    expect([s.faults.length, fault?.code, fault?.message.startsWith("queue 1: ")]).toEqual([
      1,
      "queue-malformed",
      true,
    ]);
    expect(fault?.cause).toBeInstanceOf(QueueFault);
  });
});

describe("notifications (2.3)", () => {
  it("passes kicks of live queues on, and counts the others [basic.device.device-status-field.1]", () => {
    const s = setup();
    negotiate(s);
    enableQueue(s, 0);
    s.core.notify(0);
    expect(s.device.events).toEqual([]);
    s.core.writeStatus(15);
    expect(s.device.events).toEqual(["activate", "notify 0"]);
    s.core.notify(1);
    s.core.notify(2);
    s.core.notify(65535);
    s.core.notify(0);
    expect(s.device.events).toEqual(["activate", "notify 0", "notify 0"]);
    expect(s.core.counters).toMatchObject({ kicks: 2, strayKicks: 4 });
  });

  it("a kick by the million before DRIVER_OK is one kick after it", () => {
    const s = setup();
    negotiate(s);
    enableQueue(s, 0);
    for (let i = 0; i < 1_000_000; i++) s.core.notify(0);
    s.core.writeStatus(15);
    expect(s.device.events).toEqual(["activate", "notify 0"]);
  });
});

describe("configuration space (2.5)", () => {
  it("can be read before FEATURES_OK [basic.device.device-configuration-space.1]", () => {
    const { core, device } = setup();
    device.config.bytes.set([1, 2, 3, 4, 5, 6, 7, 8]);
    expect(core.config.read(0, 4)).toBe(0x04030201);
    expect(core.config.read(5, 2)).toBe(0x0706);
    expect(core.config.read(7, 1)).toBe(8);
  });

  it("can be written before features are read [basic.legacy.both.legacy-interface-device-initialization.2]", () => {
    const { core, device } = setup();
    core.writeStatus(3, true);
    core.config.write(1, 2, 0xbeef);
    expect([...device.config.bytes.subarray(0, 4)]).toEqual([0, 0xef, 0xbe, 0]);
  });

  it("reads zeros past its end and ignores writes there", () => {
    const { core, device } = setup();
    device.config.bytes.fill(0xff);
    expect(core.config.read(6, 4)).toBe(0x0000ffff);
    expect(core.config.read(8, 4)).toBe(0);
    expect(core.config.read(0xfff_ffff, 1)).toBe(0);
    core.config.write(7, 4, 0);
    expect(device.config.bytes[7]).toBe(0);
    core.config.write(100, 4, 1);
  });

  it("is not asked for what is not there", () => {
    const { core, device } = setup();
    const asked: string[] = [];
    device.readConfig = (offset, data) => {
      asked.push(`read ${data.length} at ${offset}`);
      return null;
    };
    device.writeConfig = (offset, data) => {
      asked.push(`write ${data.length} at ${offset}`);
      return null;
    };
    for (const offset of [7, 8, 9, 100]) {
      core.config.read(offset, 4);
      core.config.write(offset, 4, 0);
    }
    expect(asked).toEqual(["read 1 at 7", "write 1 at 7"]);
  });

  it("moves the generation with each change and notifies the driver", () => {
    const s = setup();
    goLive(s);
    s.device.context?.configChanged();
    expect(s.core.configGeneration).toBe(1);
    expect(s.interrupts.configCount).toBe(1);
  });
});

describe("reset (2.4) and activation", () => {
  it("brings status, features and queues back to their start [basic.device.device-reset.1]", () => {
    const s = setup();
    goLive(s, 1n);
    s.core.writeStatus(0);
    expect(s.core.status).toBe(0);
    expect(s.core.negotiated).toBe(0n);
    expect(s.core.features.writtenPage(0)).toBe(0);
    expect(s.core.queues.every((q) => !q.enabled && q.size === 16 && q.address(0) === 0)).toBe(true);
    expect(s.device.events).toEqual(["activate", "reset"]);
  });

  it("cuts the device off: nothing it kept has an effect [basic.device.device-reset.2]", () => {
    const s = setup();
    goLive(s);
    const kept = s.device.context;
    let ran = false;
    kept?.scheduler.defer(() => {
      ran = true;
    });
    s.core.writeStatus(0);
    kept?.configChanged();
    kept?.fail({ code: "device-error", message: "late" } as DeviceFault);
    kept?.queues[0]?.notifier.notify();
    s.core.notify(0);
    expect(s.core.status).toBe(0);
    expect(s.interrupts.configCount).toBe(0);
    expect(s.interrupts.queueCounts).toEqual([]);
    expect(s.device.events).toEqual(["activate", "reset"]);
    expect(ran).toBe(false);
  });

  it("shows a status that is not zero until an asynchronous reset is done", async () => {
    const s = setup();
    goLive(s);
    let done = (): void => {};
    s.device.resetPromise = new Promise((resolve) => {
      done = resolve;
    });
    s.core.writeStatus(0);
    expect(s.core.status).toBe(15);
    s.core.writeStatus(1);
    s.core.writeStatus(0);
    s.core.notify(0);
    expect(s.device.events).toEqual(["activate", "reset"]);
    done();
    await s.core.settled;
    expect(s.core.status).toBe(0);
    goLive(s);
    expect(s.core.status).toBe(15);
  });

  it("a reset that fails ends, with DEVICE_NEEDS_RESET", async () => {
    const s = setup();
    goLive(s);
    s.device.resetPromise = Promise.reject(new Error("stuck"));
    s.core.writeStatus(0);
    await s.core.settled;
    expect(s.core.status).toBe(STATUS_DEVICE_NEEDS_RESET);
    expect(s.faults.map((f) => f.message)).toEqual(["the device failed to reset: stuck"]);
  });

  it("a failed activation resets the device and sets DEVICE_NEEDS_RESET, without DRIVER_OK", () => {
    const s = setup();
    s.device.activationError = new ActivateError("io-error", "no backend");
    goLive(s);
    expect(s.core.status).toBe(11 | STATUS_DEVICE_NEEDS_RESET);
    expect(s.device.events).toEqual(["activate", "reset"]);
    expect(s.faults.map((f) => [f.code, f.message])).toEqual([
      ["activation-failed", "the device could not be activated: no backend"],
    ]);
    s.device.activationError = null;
    s.core.writeStatus(0);
    goLive(s);
    expect(s.core.status).toBe(15);
  });

  it("removal resets first", async () => {
    const s = setup();
    goLive(s);
    await s.core.remove();
    expect(s.device.events).toEqual(["activate", "reset", "remove"]);
  });

  it("a device that has nothing to do when it is removed can be, too", async () => {
    const device: VirtioDevice = {
      deviceType: 4,
      queueMaxSizes: [16],
      activate: () => {},
      queueNotify: () => {},
      reset: () => {},
    };
    const { core } = rig(device);
    core.writeStatus(1);
    await expect(core.remove()).resolves.toBeUndefined();
    expect(core.status).toBe(0);
  });
});
