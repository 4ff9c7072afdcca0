import { FlexibleDevice, RecordingDevice } from "@virtio-ts/virtio-device/testing";
import type { MsiSink } from "@virtio-ts/vm-device";
import { describe, expect, it } from "vitest";
import { VirtioMmioError, type VirtioMmioOptions } from "../src/index.ts";
import { type Setup, setup } from "./support/setup.ts";

const CSR = 0xc0;
const COMMAND = 0xc2;
const UPDATE = 0x1000;
const MASK = 0x2000;
const UNMASK = 0x3000;

class Messages implements MsiSink {
  readonly sent: (readonly [address: number, data: number])[] = [];

  send(address: number, data: number): void {
    this.sent.push([address, data]);
  }
}

type Rig = Setup & { readonly messages: Messages };

function dragonball(extensions: VirtioMmioOptions["dragonball"] = {}, device?: RecordingDevice): Rig {
  return { ...setup({ dragonball: extensions }, device), messages: new Messages() };
}

function withMsi(device?: RecordingDevice): Rig {
  const messages = new Messages();
  return { ...setup({ dragonball: { msi: messages } }, device), messages };
}

/** Programs a vector as the guest's driver does: message registers, then the command. */
function setVector({ guest }: Rig, vector: number, address: number, data: number): void {
  guest.write(0xc4, address >>> 0);
  guest.write(0xc8, Math.floor(address / 2 ** 32));
  guest.write(0xcc, data);
  guest.write(COMMAND, UPDATE | vector, 2);
}

/** To DRIVER_OK with messages enabled: vector `v` sends `40 + v`. */
function liveWithMsi(device?: RecordingDevice): Rig {
  const rig = withMsi(device);
  rig.guest.status = 0;
  rig.guest.write(CSR, 0x8000, 2);
  for (const vector of [0, 1, 2]) setVector(rig, vector, 0xfee0_0000 + 0x1000 * vector, 40 + vector);
  rig.guest.goLive();
  return rig;
}

describe("Dragonball's vendor id", () => {
  const msi = new Messages();
  it.each([
    [{}, 0xdbfc_db00],
    [{ interruptUsed: true }, 0xdbfc_db01],
    [{ msi }, 0xdbfc_db02],
    [{ perQueueNotify: true }, 0xdbfc_db04],
    [{ msi, perQueueNotify: true, interruptUsed: true }, 0xdbfc_db07],
  ])("says which extensions there are: %o", (extensions, id) => {
    const { guest, mmio } = dragonball(extensions);
    expect([guest.read(0xc), mmio.size]).toEqual([id, 0x2000]);
  });
});

describe("InterruptStatus with INTR_USED", () => {
  it("always reports a used buffer, and what else took place", () => {
    const { guest, device, line } = dragonball({ interruptUsed: true });
    guest.goLive();
    expect([guest.interruptStatus, line.level]).toEqual([1, false]);
    device.context?.configChanged();
    expect([guest.interruptStatus, line.level]).toEqual([3, true]);
    guest.write(0x64, 3);
    expect([guest.interruptStatus, line.level]).toEqual([1, false]);
  });

  it("is as ever without it", () => {
    expect(dragonball().guest.interruptStatus).toBe(0);
  });
});

describe("doorbells", () => {
  it("are told of by QueueNotify, which stays a way to notify", () => {
    const { guest, device } = dragonball({ perQueueNotify: true });
    expect(guest.read(0x50)).toBe(0x0004_1000);
    guest.goLive();
    guest.kick(1);
    expect(device.events.at(-1)).toBe("notify 1");
  });

  it("notify their queue, whatever is written and how wide", () => {
    const { guest, device, mmio } = dragonball({ perQueueNotify: true });
    guest.goLive();
    guest.write(0x1004, 0xffff, 4);
    guest.write(0x1000, 1, 2);
    guest.write(0x1000, 0, 1);
    expect(device.events).toEqual(["activate", "notify 1", "notify 0", "notify 0"]);
    guest.write(0x1002, 0, 2);
    guest.write(0x1008, 0, 4);
    guest.write(0x1ffc, 0, 4);
    expect([device.events.length, mmio.core.counters.strayKicks]).toEqual([4, 2]);
    expect([guest.read(0x1000), guest.read(0x1ffc)]).toEqual([0, 0]);
  });

  it("begin where configuration space ends, which is written as ever", () => {
    const { guest, device, mmio } = dragonball({ perQueueNotify: true }, new RecordingDevice({ configSize: 0xf00 }));
    guest.goLive();
    guest.write(0x100, 0x1122_3344);
    guest.write(0xffc, 0x5566_7788);
    expect([guest.read(0x100), guest.read(0xffc)]).toEqual([0x1122_3344, 0x5566_7788]);
    expect([device.events, mmio.core.counters.strayKicks]).toEqual([["activate"], 0]);
  });

  it("are not there unless asked for", () => {
    const { guest, device } = dragonball();
    guest.goLive();
    guest.write(0x1000, 0, 4);
    expect([guest.read(0x50), device.events]).toEqual([0, ["activate"]]);
  });
});

describe("messages", () => {
  it("are known by the control register", () => {
    expect([withMsi().guest.read(CSR, 2), dragonball().guest.read(CSR, 2)]).toEqual([0x8000, 0]);
  });

  it("have a vector for the configuration and one for each queue, which the machine is told", () => {
    const control = Object.assign(new RecordingDevice({ queues: [8, 8, 8, 8] }), { controlQueueMaxSize: 4 });
    expect([withMsi(), withMsi(control), dragonball()].map(({ mmio }) => mmio.vectors)).toEqual([3, 6, 0]);
  });

  it("go by vector 0 for the configuration and i + 1 for queue i, and leave InterruptStatus and the line alone", () => {
    const { guest, device, messages, line } = liveWithMsi();
    device.context?.configChanged();
    device.context?.queues[0]?.notifier.notify();
    device.context?.queues[1]?.notifier.notify();
    expect(messages.sent).toEqual([
      [0xfee0_0000, 40],
      [0xfee0_1000, 41],
      [0xfee0_2000, 42],
    ]);
    expect([guest.interruptStatus, line.edges]).toEqual([0, 0]);
  });

  it("have 64-bit addresses, and go nowhere beyond 2^53", () => {
    const rig = liveWithMsi();
    setVector(rig, 1, 2 ** 40 + 0x1000, 7);
    rig.device.context?.queues[0]?.notifier.notify();
    setVector(rig, 1, 2 ** 53 - 1, 8);
    rig.device.context?.queues[0]?.notifier.notify();
    setVector(rig, 1, 2 ** 53, 9);
    rig.device.context?.queues[0]?.notifier.notify();
    expect(rig.messages.sent).toEqual([
      [2 ** 40 + 0x1000, 7],
      [2 ** 53 - 1, 8],
    ]);
  });

  it("change only by the command", () => {
    const { guest, device, messages } = liveWithMsi();
    guest.write(0xcc, 99);
    device.context?.configChanged();
    guest.write(COMMAND, UPDATE, 2);
    device.context?.configChanged();
    expect(messages.sent.map(([, data]) => data)).toEqual([40, 99]);
  });

  it("wait while their vector is masked, as one", () => {
    const { guest, device, messages } = liveWithMsi();
    guest.write(COMMAND, MASK | 1, 2);
    device.context?.queues[0]?.notifier.notify();
    device.context?.queues[0]?.notifier.notify();
    device.context?.queues[1]?.notifier.notify();
    expect(messages.sent.map(([, data]) => data)).toEqual([42]);
    guest.write(COMMAND, UNMASK | 1, 2);
    guest.write(COMMAND, UNMASK | 1, 2);
    expect(messages.sent.map(([, data]) => data)).toEqual([42, 41]);
  });

  it("are not used before they are enabled: there is the line", () => {
    const { guest, device, messages, line } = withMsi();
    guest.goLive();
    device.context?.configChanged();
    expect([guest.interruptStatus, line.level, messages.sent]).toEqual([2, true, []]);
  });

  it("are settled before the device is live", () => {
    const enabled = liveWithMsi();
    enabled.guest.write(CSR, 0, 2);
    enabled.device.context?.configChanged();
    expect(enabled.messages.sent.length).toBe(1);
    const disabled = withMsi();
    disabled.guest.goLive();
    disabled.guest.write(CSR, 0x8000, 2);
    disabled.device.context?.configChanged();
    expect(disabled.messages.sent.length).toBe(0);
  });

  it("stay as they were programmed when they are enabled again, or a write of 16 bits goes elsewhere", () => {
    const rig = withMsi();
    rig.guest.write(CSR, 0x8000, 2);
    setVector(rig, 0, 0xfee0_0000, 40);
    rig.guest.write(CSR, 0x8000, 2);
    for (const offset of [0x44, 0x70, 0xbe, 0xc4, 0xcc]) rig.guest.write(offset, 0, 2);
    rig.guest.goLive();
    rig.device.context?.configChanged();
    expect(rig.messages.sent).toEqual([[0xfee0_0000, 40]]);
  });

  it("are programmed anew after they were disabled, or the device was reset", () => {
    const messages = new Messages();
    const s = setup({ dragonball: { msi: messages } });
    const rig = { ...s, messages };
    rig.guest.write(CSR, 0x8000, 2);
    setVector(rig, 0, 0xfee0_0000, 40);
    rig.guest.write(CSR, 0, 2);
    rig.guest.write(CSR, 0x8000, 2);
    rig.guest.goLive();
    rig.device.context?.configChanged();
    expect(messages.sent).toEqual([[0, 0]]);
    rig.guest.status = 0;
    rig.guest.goLive();
    rig.device.context?.configChanged();
    expect([messages.sent.length, rig.line.level]).toEqual([1, true]);
  });

  it("are not touched by commands that are none, by vectors that are not there, nor while they are disabled", () => {
    const rig = liveWithMsi();
    for (const command of [0, 0x4001, 0xf001, MASK | 3, MASK | 0xfff, UPDATE | 3]) rig.guest.write(COMMAND, command, 2);
    rig.guest.write(COMMAND, MASK | 1, 1);
    rig.guest.write(0xc0, ((MASK | 1) << 16) | 0x8000, 4);
    for (const active of rig.device.context?.queues ?? []) active?.notifier.notify();
    expect(rig.messages.sent.map(([, data]) => data)).toEqual([41, 42]);
    const disabled = withMsi();
    setVector(disabled, 0, 0xfee0_0000, 40);
    disabled.guest.write(CSR, 0x8000, 2);
    disabled.guest.goLive();
    disabled.device.context?.configChanged();
    expect(disabled.messages.sent).toEqual([[0, 0]]);
  });

  it("stand where QueueReset is: no RING_RESET is offered beside them", () => {
    const ringReset = 1n << 40n;
    expect(withMsi(new FlexibleDevice()).guest.offered & ringReset).toBe(0n);
    const without = dragonball({ perQueueNotify: true }, new FlexibleDevice());
    expect(without.guest.offered & ringReset).toBe(ringReset);
  });

  it("that are not there leave QueueReset in its place, and nothing where their other registers would be", () => {
    const { guest, device, line } = dragonball({}, new FlexibleDevice());
    guest.write(CSR, 0x8000, 2);
    guest.write(COMMAND, UPDATE, 2);
    for (const offset of [0xc4, 0xc8, 0xcc]) guest.write(offset, 0xffff_ffff);
    expect([0xc0, 0xc4, 0xc8, 0xcc].map((offset) => guest.read(offset))).toEqual([0, 0, 0, 0]);
    guest.goLive(1n << 40n);
    device.context?.configChanged();
    expect([guest.interruptStatus, line.level]).toEqual([2, true]);
    guest.select(1);
    guest.write(0xc0, 1);
    expect([guest.ready(1), device.events.at(-1)]).toEqual([0, "stop 1"]);
  });
});

describe("extensions that can't be", () => {
  const many = (queues: number) => new RecordingDevice({ queues: Array.from({ length: queues }, () => 2) });
  it.each([
    ["dragonball", { version: 1, dragonball: {} }, new RecordingDevice()],
    ["config-size", { dragonball: {} }, new RecordingDevice({ configSize: 0xf01 })],
    ["queue-count", { dragonball: { perQueueNotify: true } }, many(1025)],
    ["queue-count", { dragonball: { msi: new Messages() } }, many(4096)],
  ] as const)("are refused: %s", (code, options, device) => {
    expect(() => setup(options, device)).toThrow(expect.objectContaining({ name: "VirtioMmioError", code }));
  });

  it("are so only just", () => {
    expect(setup({ dragonball: { perQueueNotify: true } }, many(1024)).mmio.size).toBe(0x2000);
    expect(setup({ dragonball: { msi: new Messages() } }, many(4095)).mmio.size).toBe(0x2000);
    expect(setup({ dragonball: {} }, new RecordingDevice({ configSize: 0xf00 })).mmio.size).toBe(0x2000);
    expect(VirtioMmioError.name).toBe("VirtioMmioError");
  });
});

describe("Dragonball's known defects", () => {
  it("no reset after DRIVER_OK: here a live device is reset and comes up again", () => {
    const { guest, device } = liveWithMsi();
    guest.status = 0;
    expect([guest.status, device.events.at(-1)]).toEqual([0, "reset"]);
    guest.goLive();
    expect([guest.status, device.events.at(-1)]).toEqual([15, "activate"]);
  });

  it("config_generation never moves: here it does with each change", () => {
    const { guest, device } = liveWithMsi();
    const before = guest.read(0xfc);
    device.context?.configChanged();
    expect(guest.read(0xfc)).toBe(before + 1);
  });
});
