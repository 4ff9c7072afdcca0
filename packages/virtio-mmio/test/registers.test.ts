import { FlexibleDevice, RecordingDevice } from "@virtio-ts/virtio-device/testing";
import type { AccessWidth } from "@virtio-ts/vm-device";
import { MemoryRegion } from "@virtio-ts/vm-memory";
import { describe, expect, it } from "vitest";
import type { Guest } from "./support/guest.ts";
import { setup } from "./support/setup.ts";

const NEEDS_RESET = 0x40;
const NOTIFICATION_DATA = 1n << 38n;

describe.each([1, 2] as const)("the registers of version %i", (version) => {
  it("say that a virtio device is there, and which [mmio.device.mmio-device-register-layout.1]", () => {
    const { guest } = setup({ version, vendorId: 0x4d4f_4d4f }, new RecordingDevice({ deviceType: 26 }));
    const identity = [0x7472_6976, version, 26, 0x4d4f_4d4f];
    expect([0, 4, 8, 12].map((offset) => guest.read(offset))).toEqual(identity);
    for (const offset of [0, 4, 8, 12]) guest.write(offset, 0);
    expect([0, 4, 8, 12].map((offset) => guest.read(offset))).toEqual(identity);
  });

  it("present the size of each queue, and 0 where there is none", () => {
    const { guest } = setup({ version }, new RecordingDevice({ queues: [256, 0, 64] }));
    const sizes = [0, 1, 2, 3, 0xffff_ffff].map((queue) => {
      guest.select(queue);
      return guest.read(0x34);
    });
    expect(sizes).toEqual([256, 0, 64, 0, 0]);
  });

  it("read as zero where they are write-only, or none", () => {
    const { guest } = setup({ version });
    for (const at of [0x14, 0x20, 0x24, 0x28, 0x30, 0x38, 0x3c, 0x50, 0x64, 0x80, 0x84, 0x90, 0x94, 0xa0, 0xa4, 0xac]) {
      guest.write(at, 1);
      expect([at, guest.read(at)]).toEqual([at, 0]);
    }
    for (const at of [0x18, 0x2c, 0x54, 0xc4, 0xf8]) expect([at, guest.read(at)]).toEqual([at, 0]);
  });

  it("are in a window of pages, as many as the configuration space needs", () => {
    const sizes = [0, 0xf00, 0xf01].map(
      (configSize) => setup({ version }, new RecordingDevice({ configSize })).mmio.size,
    );
    expect(sizes).toEqual([0x1000, 0x1000, 0x2000]);
  });
});

describe("the registers of version 2 (4.2.2)", () => {
  it("have version 2, and PCI's vendor id unless told otherwise [mmio.device.mmio-device-register-layout.2]", () => {
    const { guest } = setup();
    expect([guest.read(4), guest.read(12)]).toEqual([2, 0x1af4]);
  });

  it("offer features by pages of 32 bits", () => {
    const { guest } = setup();
    expect(guest.offered).toBe(0x1_3000_0021n);
    for (const page of [2, 3, 4, 0xffff_ffff]) {
      guest.write(0x14, page);
      expect(guest.read(0x10)).toBe(0);
    }
  });

  it("keep what was selected while the status changes, and forget it in a reset", () => {
    const backing = new MemoryRegion(2 ** 40, new Uint8Array(0x1000));
    const regions = [
      { id: 0, offset: 0, length: 0x400 },
      { id: 5, offset: 0x400, length: 0x800 },
    ];
    const { guest } = setup({ sharedMemory: { guestAddress: 2 ** 40, length: 0x1000, backing, regions } });
    const seen = (): number[] => [guest.read(0x10), guest.read(0xb0)];
    guest.write(0x14, 1);
    guest.write(0xac, 5);
    guest.write(0x24, 1);
    guest.status = 1;
    guest.status = 3;
    guest.write(0x20, 1);
    expect(seen()).toEqual([1, 0x800]);
    guest.status = 11;
    guest.status = 15;
    expect([guest.status, ...seen()]).toEqual([15, 1, 0x800]);
    guest.status = 0;
    expect(seen()).toEqual([0x3000_0021, 0x400]);
  });

  it("take a driver all the way, and its kicks", () => {
    const { guest, device } = setup();
    guest.goLive(0x21n);
    expect([guest.status, device.context?.features]).toEqual([15, 0x1_0000_0021n]);
    guest.kick(1);
    guest.kick(0);
    expect(device.events).toEqual(["activate", "notify 1", "notify 0"]);
  });

  it("take queues of 64-bit addresses, each of its own size", () => {
    const { guest, mmio } = setup();
    guest.negotiate();
    guest.select(1);
    [0x80, 0x84, 0x90, 0x94, 0xa0, 0xa4].forEach((offset, i) => void guest.write(offset, 0x1000 * (i + 1)));
    guest.write(0x38, 4);
    expect([...mmio.core.queues[1].halves]).toEqual([0x1000, 0x2000, 0x3000, 0x4000, 0x5000, 0x6000]);
    expect(mmio.core.queues.map(({ size }) => size)).toEqual([16, 4]);
  });

  it("give a queue the size the driver chose, and a ready queue is left as it is", () => {
    const { guest, device } = setup();
    guest.negotiate();
    guest.setQueue(0, 8);
    guest.write(0x38, 4);
    guest.write(0x80, 0x1_0000_0000 - 16);
    expect([guest.ready(0), guest.ready(1)]).toEqual([1, 0]);
    guest.status = 15;
    expect([guest.status, device.context?.queues[0]?.queue.size, device.context?.queues[1]]).toEqual([15, 8, null]);
  });

  it("take features and queues before any status bit, and all bits at once: the order is the driver's duty (3.1.1)", () => {
    const { guest, device } = setup();
    guest.setQueue(0, 8);
    guest.write(0x24, 1);
    guest.write(0x20, 1);
    expect([guest.status, guest.ready(0)]).toEqual([0, 1]);
    guest.status = 15;
    expect([guest.status, device.context?.features, device.context?.queues[0]?.queue.size]).toEqual([15, 1n << 32n, 8]);
  });

  it.each([1, 3, 11])("are reset by status 0 from status %i, and from 0", (status) => {
    const { guest } = setup();
    guest.status = 0;
    guest.write(0x24, 1);
    guest.write(0x20, 1);
    guest.status = status;
    guest.setQueue(0);
    guest.status = 0;
    expect([guest.status, guest.ready(0)]).toEqual([0, 0]);
  });

  it.each([0, 3, 32, 0xffff_ffff])("tell a driver that a queue of %i entries can't be, when it goes live", (size) => {
    const { guest, faults } = setup();
    guest.negotiate();
    guest.setQueue(0, size);
    guest.status = 15;
    expect(guest.status).toBe(11 | NEEDS_RESET);
    expect(faults.map(({ code }) => code)).toEqual(["queue-config"]);
  });

  it("make a queue ready only for 1, and no longer ready for 0", () => {
    const { guest } = setup();
    guest.negotiate();
    guest.select(0);
    const ready = [2, 1, 2, 0].map((value) => {
      guest.write(0x44, value);
      return guest.read(0x44);
    });
    expect(ready).toEqual([0, 1, 1, 0]);
  });

  it("let a driver think again of a queue it made ready before it goes live, with the areas it wrote", () => {
    const { guest, device } = setup();
    guest.negotiate();
    guest.setQueue(0, 16);
    guest.write(0x44, 0);
    guest.write(0x38, 4);
    guest.write(0x44, 1);
    guest.status = 15;
    expect([guest.status, device.context?.queues[0]?.queue.size]).toEqual([15, 4]);
  });

  it("ignore fields of queues that are not there", () => {
    const { guest, mmio } = setup();
    guest.negotiate();
    guest.setQueue(2);
    guest.setQueue(0xffff_ffff);
    guest.write(0xc0, 1);
    guest.write(0x44, 0);
    expect([guest.read(0x44), guest.read(0xc0)]).toEqual([0, 0]);
    expect(mmio.core.queues.some(({ enabled }) => enabled)).toBe(false);
  });
});

describe("a queue that its driver stops (QueueReady 0)", () => {
  it("is touched no more, while the others go on [mmio.device.mmio-device-register-layout.7]", () => {
    const { guest, device, bytes, line } = setup({}, new FlexibleDevice());
    guest.goLive();
    const { context } = device;
    const [first, second] = [context?.queues[0], context?.queues[1]];
    guest.select(0);
    guest.write(0x44, 0);
    expect(guest.read(0x44)).toBe(0);
    bytes.fill(0xff, 0x4000, 0x8000);
    const before = bytes.slice();
    guest.kick(0);
    first?.queue.push(0, 8);
    first?.queue.flush();
    first?.notifier.notify();
    first?.queue.enableNotifications();
    expect([first?.queue.hasAvailable(), bytes]).toEqual([false, before]);
    expect([device.events, line.level]).toEqual([["activate", "start 0", "start 1", "stop 0"], false]);
    guest.kick(1);
    second?.notifier.notify();
    expect([device.events.at(-1), line.level, guest.status]).toEqual(["notify 1", true, 15]);
  });

  it("stays ready as long as the device has buffers of it [mmio.device.mmio-device-register-layout.7]", async () => {
    const device = new FlexibleDevice();
    const { guest } = setup({}, device);
    guest.goLive();
    let release = (): void => {};
    device.stopPromise = new Promise((resolve) => {
      release = resolve;
    });
    guest.select(0);
    guest.write(0x44, 0);
    expect([guest.read(0x44), guest.read(0xc0)]).toEqual([1, 0]);
    guest.write(0x44, 1);
    release();
    await device.stopPromise;
    await Promise.resolve();
    expect(guest.read(0x44)).toBe(0);
  });

  it("takes the device with it where that can't do without [mmio.device.mmio-device-register-layout.7]", () => {
    const { guest, device, line } = setup();
    guest.goLive();
    device.context?.configChanged();
    guest.select(0);
    guest.write(0x44, 0);
    expect([guest.read(0x44), guest.status, device.events]).toEqual([0, 0, ["activate", "reset"]]);
    expect([guest.interruptStatus, line.level]).toEqual([0, false]);
  });
});

describe("QueueReset, with VIRTIO_F_RING_RESET (2.6.1)", () => {
  const RING_RESET = 1n << 40n;

  it("resets the queue when 1 is written, and lets it be set up anew [mmio.device.mmio-device-register-layout.10] [mmio.device.mmio-device-register-layout.12]", () => {
    const { guest, device } = setup({}, new FlexibleDevice());
    guest.goLive(RING_RESET);
    guest.select(1);
    guest.write(0xc0, 2);
    expect(device.events.at(-1)).toBe("start 1");
    guest.write(0xc0, 1);
    expect([guest.read(0xc0), guest.read(0x44), device.events.at(-1)]).toEqual([0, 0, "stop 1"]);
    guest.kick(1);
    guest.setQueue(1, 8);
    expect([guest.read(0xc0), guest.read(0x44), guest.status]).toEqual([0, 1, 15]);
    guest.kick(1);
    expect(device.events.slice(-2)).toEqual(["start 1", "notify 1"]);
    expect(device.context?.queues[1]?.queue.size).toBe(8);
  });

  it("reads 1 until the device has let go of the queue, and then 0 [mmio.device.mmio-device-register-layout.11] [mmio.device.mmio-device-register-layout.12]", async () => {
    const device = new FlexibleDevice();
    const { guest } = setup({}, device);
    guest.goLive(RING_RESET);
    let release = (): void => {};
    device.stopPromise = new Promise((resolve) => {
      release = resolve;
    });
    guest.select(0);
    guest.write(0xc0, 1);
    expect(guest.read(0xc0)).toBe(1);
    guest.setQueue(0);
    expect([guest.read(0xc0), device.events.at(-1)]).toEqual([1, "stop 0"]);
    release();
    await device.stopPromise;
    await Promise.resolve();
    expect([guest.read(0xc0), guest.read(0x44)]).toEqual([0, 0]);
  });

  it("reads 0 after the queue was enabled anew [mmio.device.mmio-device-register-layout.9]", () => {
    const { guest } = setup({}, new FlexibleDevice());
    guest.goLive(RING_RESET);
    guest.select(0);
    guest.write(0xc0, 1);
    guest.setQueue(0);
    expect([guest.read(0x44), guest.read(0xc0)]).toEqual([1, 0]);
  });

  it("reads 0 after a reset of the device in the middle of it [mmio.device.mmio-device-register-layout.8]", () => {
    const device = new FlexibleDevice();
    const { guest } = setup({}, device);
    guest.goLive(RING_RESET);
    device.stopPromise = new Promise(() => {});
    guest.select(0);
    guest.write(0xc0, 1);
    expect(guest.read(0xc0)).toBe(1);
    guest.status = 0;
    guest.goLive(RING_RESET);
    guest.select(0);
    expect(guest.read(0xc0)).toBe(0);
  });

  it("does nothing where the feature was not negotiated", () => {
    const { guest, device } = setup({}, new FlexibleDevice());
    guest.goLive();
    guest.select(0);
    guest.write(0xc0, 1);
    expect([guest.read(0x44), device.events.at(-1)]).toEqual([1, "start 1"]);
  });
});

describe("InterruptStatus and the line (4.2.3.4)", () => {
  it("present each event until it is acknowledged, and no other [mmio.device.mmio-device-register-layout.3] [mmio.device.mmio-device-register-layout.4]", () => {
    const { guest, device, line } = setup();
    guest.goLive();
    const seen = (): unknown => [guest.interruptStatus, line.level];
    expect(seen()).toEqual([0, false]);
    device.context?.queues[0]?.notifier.notify();
    expect(seen()).toEqual([1, true]);
    device.context?.configChanged();
    expect(seen()).toEqual([3, true]);
    expect(seen()).toEqual([3, true]);
    guest.write(0x64, 0xffff_fffc);
    expect(seen()).toEqual([3, true]);
    guest.write(0x64, 1);
    expect(seen()).toEqual([2, true]);
    guest.write(0x64, 2);
    expect(seen()).toEqual([0, false]);
    device.context?.queues[1]?.notifier.notify();
    expect(seen()).toEqual([1, true]);
  });

  it("have nothing pending after a reset, nor is a queue ready [mmio.device.mmio-device-register-layout.5]", () => {
    const { guest, device, line } = setup();
    guest.goLive();
    device.context?.queues[0]?.notifier.notify();
    device.context?.configChanged();
    guest.status = 0;
    expect([guest.interruptStatus, line.level, guest.ready(0), guest.ready(1)]).toEqual([0, false, 0, 0]);
  });

  it("are as after a reset when the machine was reset, or the device taken out", async () => {
    for (const leave of ["reset", "remove"] as const) {
      const { guest, mmio, device, line } = setup();
      guest.goLive();
      guest.write(0x14, 1);
      device.context?.configChanged();
      await mmio[leave]();
      expect([guest.status, guest.interruptStatus, line.level, guest.read(0x10)]).toEqual([0, 0, false, 0x3000_0021]);
    }
  });

  it("tell of a fault that needs a reset", () => {
    const { guest, device } = setup();
    guest.goLive();
    device.queueNotify = () => {
      throw new Error("broken");
    };
    guest.kick(0);
    expect([guest.status, guest.interruptStatus]).toEqual([15 | NEEDS_RESET, 2]);
  });
});

describe("a suspended device, with VIRTIO_F_SUSPEND (3.5)", () => {
  it("is silent over MMIO too, and tells what has changed when it is resumed", () => {
    const { guest, device, line } = setup({}, new FlexibleDevice());
    guest.goLive(1n << 43n);
    guest.status = 31;
    expect(guest.status).toBe(27);
    device.context?.queues[0]?.notifier.notify();
    device.config.bytes[0] = 1;
    guest.kick(0);
    expect([guest.read(0x100, 1), guest.interruptStatus, line.level, device.events.at(-1)]).toEqual([
      0,
      0,
      false,
      "stop 1",
    ]);
    guest.status = 31;
    expect([guest.status, device.events.at(-1), guest.read(0x100, 1), guest.interruptStatus]).toEqual([
      15,
      "start 1",
      1,
      2,
    ]);
  });
});

describe("QueueNotify", () => {
  it("takes a queue index", () => {
    const { guest, device, mmio } = setup();
    guest.goLive();
    for (const queue of [1, 2, 0xffff]) guest.kick(queue);
    expect([device.events, mmio.core.counters.strayKicks]).toEqual([["activate", "notify 1"], 2]);
  });

  it("takes notification data, with VIRTIO_F_NOTIFICATION_DATA (2.9)", () => {
    const { guest, device } = setup({ transportFeatures: NOTIFICATION_DATA });
    expect(guest.offered & NOTIFICATION_DATA).toBe(NOTIFICATION_DATA);
    guest.goLive(NOTIFICATION_DATA);
    expect(guest.status).toBe(15);
    guest.kick(0x8005_0001);
    guest.kick(0x0006_0000);
    expect(device.events).toEqual(["activate", "notify 1", "notify 0"]);
  });
});

describe("configuration space", () => {
  const OFFSETS = [0, 1, 2, 3, 4, 5] as const;

  it("is accessed by any width, with byte alignment", () => {
    const { guest, device } = setup();
    device.config.bytes.set([0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc]);
    expect(OFFSETS.map((at) => guest.read(0x100 + at, 1))).toEqual([0x11, 0x22, 0x33, 0x44, 0x55, 0x66]);
    expect(OFFSETS.map((at) => guest.read(0x100 + at, 2))).toEqual([0x2211, 0x3322, 0x4433, 0x5544, 0x6655, 0x7766]);
    expect([guest.read(0x100, 4), guest.read(0x105, 4)]).toEqual([0x4433_2211, 0x9988_7766]);
    guest.write(0x101, 0xaabb, 2);
    guest.write(0x107, 0xee, 1);
    guest.write(0x108, 0x0102_0304, 4);
    expect([...device.config.bytes]).toEqual([0x11, 0xbb, 0xaa, 0x44, 0x55, 0x66, 0x77, 0xee, 4, 3, 2, 1]);
  });

  it("reads as zero past its end, and writes there are ignored", () => {
    const { guest, device } = setup();
    device.config.bytes.fill(0xff);
    expect([guest.read(0x10a, 4), guest.read(0x10c, 4), guest.read(0xffc, 4)]).toEqual([0xffff, 0, 0]);
    guest.write(0x10c, 0, 4);
    guest.write(0xffc, 0, 4);
    expect(device.config.bytes.every((byte) => byte === 0xff)).toBe(true);
  });

  it("may reach beyond the first page", () => {
    const { guest } = setup({}, new RecordingDevice({ configSize: 0x1000 }));
    guest.write(0xffe, 0x4433_2211);
    guest.write(0x1004, 0x55, 1);
    expect([guest.read(0xffe), guest.read(0x1000, 2), guest.read(0x1004)]).toEqual([0x4433_2211, 0x4433, 0x55]);
  });

  it("has a generation that moves with each change by the device [mmio.device.mmio-device-register-layout.6]", () => {
    const { guest, device } = setup();
    guest.goLive();
    const before = guest.read(0xfc);
    expect(guest.read(0xfc)).toBe(before);
    device.context?.configChanged();
    const after = guest.read(0xfc);
    expect(after).not.toBe(before);
    device.context?.configChanged();
    expect([before, after]).not.toContain(guest.read(0xfc));
  });
});

describe("shared memory regions (2.10)", () => {
  const backing = new MemoryRegion(2 ** 40, new Uint8Array(0x3000));
  const sharedMemory = {
    guestAddress: 2 ** 40 + 0x1000,
    length: 0x3000,
    backing,
    regions: [
      { id: 1, offset: 0, length: 0x1000 },
      { id: 7, offset: 0x2000, length: 2 ** 33 + 5 },
    ],
  };
  const seen = (guest: Guest, id: number): number[] => {
    guest.write(0xac, id);
    return [0xb0, 0xb4, 0xb8, 0xbc].map((offset) => guest.read(offset));
  };

  it("are told by length and address, as SHMSel selects them", () => {
    const { guest } = setup({ sharedMemory });
    expect(seen(guest, 1)).toEqual([0x1000, 0, 0x1000, 0x100]);
    expect(seen(guest, 7)).toEqual([5, 2, 0x3000, 0x100]);
  });

  it("are all ones where there is none", () => {
    const missing = [0xffff_ffff, 0xffff_ffff, 0xffff_ffff, 0xffff_ffff];
    const { guest } = setup({ sharedMemory });
    for (const id of [0, 2, 0xffff_ffff]) expect(seen(guest, id)).toEqual(missing);
    expect(seen(setup().guest, 0)).toEqual(missing);
  });
});

describe("accesses that no driver makes", () => {
  it.each([1, 2] as const)("of %i bytes read what is there", (width) => {
    const { guest } = setup();
    const bytes = [0x76, 0x69, 0x72, 0x74, 2, 0, 0, 0];
    for (let at = 0; at + width <= 8; at++) {
      const expected = width === 1 ? bytes[at] : bytes[at] + 256 * bytes[at + 1];
      expect(guest.read(at, width)).toBe(expected);
    }
  });

  it("of 32 bits at odd places read what is there, into configuration space too", () => {
    const { guest, device } = setup();
    device.config.bytes.set([0x11, 0x22]);
    expect([guest.read(1, 4), guest.read(0xfe, 4)]).toEqual([0x0274_7269, 0x2211_0000]);
  });

  it.each([
    [0x70, 1],
    [0x70, 2],
    [0x71, 4],
    [0x6f, 4],
    [0x73, 1],
  ] as const)("write nothing: status, at %i by %i bytes", (offset, width: AccessWidth) => {
    const { guest } = setup();
    guest.write(offset, 0x0101_0101, width);
    expect(guest.status).toBe(0);
  });

  it("write nothing into configuration space from below", () => {
    const { guest, device } = setup();
    guest.write(0xfd, 0xffff_ffff, 4);
    expect([...device.config.bytes.slice(0, 4)]).toEqual([0, 0, 0, 0]);
  });
});
