import { RecordingDevice } from "@virtio-ts/virtio-device/testing";
import { describe, expect, it } from "vitest";
import { COMMON, DEVICE } from "./support/guest.ts";
import { setup } from "./support/setup.ts";

describe("common configuration (4.1.4.3)", () => {
  it("device_feature shows the offered bits that device_feature_select selects, 0 above bit 63 [pci.device.common-configuration-structure-layout.3]", () => {
    const { guest } = setup({}, new RecordingDevice({ features: 0x80_0021n }));
    const shown = [0, 1, 2, 3, 0x8000_0000, 0xffff_ffff].map((page) => {
      guest.write(COMMON, 0, 4, page);
      expect(guest.read(COMMON, 0, 4)).toBe(page);
      return guest.read(COMMON, 4, 4);
    });
    // INDIRECT_DESC (28), EVENT_IDX (29) and VERSION_1 (32) beside the device's own
    expect(shown).toEqual([0x3080_0021, 0x0000_0001, 0, 0, 0, 0]);
  });

  it("device_feature is read-only", () => {
    const { guest } = setup();
    guest.write(COMMON, 4, 4, 0xffff_ffff);
    expect(guest.read(COMMON, 4, 4)).toBe(0x3000_0021);
  });

  it("driver_feature shows what the driver wrote for the page driver_feature_select selects [pci.device.common-configuration-structure-layout.4]", () => {
    const { guest } = setup();
    guest.status = 1;
    guest.status = 3;
    guest.write(COMMON, 8, 4, 0);
    guest.write(COMMON, 12, 4, 0x2000_0001);
    guest.write(COMMON, 8, 4, 1);
    guest.write(COMMON, 12, 4, 1);
    guest.write(COMMON, 8, 4, 7);
    guest.write(COMMON, 12, 4, 0xffff_ffff);
    expect([guest.read(COMMON, 8, 4), guest.read(COMMON, 12, 4)]).toEqual([7, 0]);
    guest.write(COMMON, 8, 4, 0);
    expect(guest.read(COMMON, 12, 4)).toBe(0x2000_0001);
    guest.write(COMMON, 8, 4, 1);
    expect(guest.read(COMMON, 12, 4)).toBe(1);
  });

  it("driver_feature shows even bits that are not offered [pci.device.common-configuration-structure-layout.5]", () => {
    const { guest } = setup();
    guest.write(COMMON, 12, 4, 0x8000_0002);
    expect(guest.read(COMMON, 12, 4)).toBe(0x8000_0002);
  });

  it("driver_feature no longer changes after FEATURES_OK", () => {
    const { guest } = setup();
    guest.negotiate(0x1);
    guest.write(COMMON, 8, 4, 0);
    guest.write(COMMON, 12, 4, 0x20);
    expect(guest.read(COMMON, 12, 4)).toBe(1);
  });

  it("FEATURES_OK stays clear for features that were not offered", () => {
    const { guest, device } = setup();
    guest.negotiate(0x2);
    expect(guest.status).toBe(3);
    guest.status = 7;
    expect(device.events).not.toContain("activate");
  });

  it("num_queues counts the device's queues, the control queue among them", () => {
    const device = new RecordingDevice({ queues: [8, 8] });
    expect(setup({}, device).guest.read(COMMON, 18, 2)).toBe(2);
    const controlled = Object.assign(new RecordingDevice({ queues: [8, 8] }), { controlQueueMaxSize: 4 });
    const { guest } = setup({}, controlled);
    expect(guest.read(COMMON, 18, 2)).toBe(3);
    guest.select(2);
    expect(guest.read(COMMON, 24, 2)).toBe(4);
  });

  it("writing 0 to device_status resets; it reads 0 when that is done [pci.device.common-configuration-structure-layout.7]", async () => {
    const { guest, device, fn } = setup();
    guest.goLive();
    expect(guest.status).toBe(15);
    let done = (): void => {};
    device.resetPromise = new Promise((resolve) => {
      done = resolve;
    });
    guest.status = 0;
    expect(device.events.at(-1)).toBe("reset");
    expect(guest.status).not.toBe(0);
    guest.status = 1;
    done();
    await fn.core.settled;
    expect(guest.status).toBe(0);
  });

  it("selects and features are 0 after a reset", () => {
    const { guest } = setup();
    guest.negotiate(1);
    guest.write(COMMON, 0, 4, 1);
    guest.select(1);
    guest.status = 0;
    const selects = [guest.read(COMMON, 0, 4), guest.read(COMMON, 8, 4), guest.read(COMMON, 22, 2)];
    expect([...selects, guest.read(COMMON, 12, 4)]).toEqual([0, 0, 0, 0]);
  });

  it("queue_enable is 0 after a reset [pci.device.common-configuration-structure-layout.8]", () => {
    const { guest } = setup();
    guest.goLive();
    guest.select(1);
    expect(guest.read(COMMON, 28, 2)).toBe(1);
    guest.status = 0;
    for (const queue of [0, 1]) {
      guest.select(queue);
      expect(guest.read(COMMON, 28, 2)).toBe(0);
    }
  });

  it("config_generation differs after a change that lies between two reads, were it 256 changes [pci.device.common-configuration-structure-layout.6]", () => {
    const { guest, device } = setup();
    guest.goLive();
    for (const changes of [1, 2, 256, 65536]) {
      const before = guest.read(COMMON, 21, 1);
      expect(guest.read(COMMON, 21, 1)).toBe(before);
      guest.read(DEVICE, 0, 4);
      for (let i = 0; i < changes; i++) device.context?.configChanged();
      guest.read(DEVICE, 4, 4);
      expect(guest.read(COMMON, 20, 2) >>> 8).toBe((before + 1) & 0xff);
    }
  });
});

describe("queue fields (4.1.4.3)", () => {
  it("queue_size is the largest size at first, and 0 for a queue that is not there [pci.device.common-configuration-structure-layout.14]", () => {
    const { guest } = setup({}, new RecordingDevice({ queues: [256, 0, 64] }));
    const sizes = [0, 1, 2, 3, 0xffff].map((queue) => {
      guest.select(queue);
      return guest.read(COMMON, 24, 2);
    });
    expect(sizes).toEqual([256, 0, 64, 0, 0]);
  });

  it("queue_size is 0 for a queue that is not there, even if a saved state gives it a size [pci.device.common-configuration-structure-layout.14]", () => {
    const { guest, fn } = setup({}, new RecordingDevice({ queues: [8, 0] }));
    const state = structuredClone(fn.save());
    (state.core as { queues: { size: number }[] }).queues[1].size = 8;
    fn.restore(state);
    guest.select(1);
    expect(guest.read(COMMON, 24, 2)).toBe(0);
  });

  it("queue_size never reads as something else than 0 or a power of 2 [pci.device.common-configuration-structure-layout.15]", () => {
    const { guest } = setup({}, new RecordingDevice({ queues: [256] }));
    for (const [size, shown] of [
      [128, 128],
      [0, 128],
      [3, 128],
      [255, 128],
      [512, 128],
      [0xffff, 128],
      [1, 1],
    ]) {
      guest.write(COMMON, 24, 2, size);
      expect(guest.read(COMMON, 24, 2)).toBe(shown);
    }
  });

  it("queue_notify_off is the queue's index, read-only, and 0 without a queue", () => {
    const { guest } = setup();
    guest.select(1);
    guest.write(COMMON, 30, 2, 7);
    expect(guest.read(COMMON, 30, 2)).toBe(1);
    guest.select(2);
    expect(guest.read(COMMON, 30, 2)).toBe(0);
  });

  it("the halves of each 64-bit area address are independent [pci.device.pci-device-layout.1]", () => {
    const { guest } = setup();
    guest.select(1);
    for (const area of [32, 40, 48]) {
      guest.write(COMMON, area + 4, 4, 0x1000_0000 + area);
      guest.write(COMMON, area, 4, 0xabcd_0000 + area);
      expect(guest.read(COMMON, area + 4, 4)).toBe(0x1000_0000 + area);
      guest.write(COMMON, area + 4, 4, 0x2000_0000 + area);
    }
    for (const area of [32, 40, 48]) {
      expect(guest.read(COMMON, area, 4)).toBe(0xabcd_0000 + area);
      expect(guest.read(COMMON, area + 4, 4)).toBe(0x2000_0000 + area);
    }
    guest.select(0);
    expect(guest.read(COMMON, 32, 4)).toBe(0);
  });

  it("queue_enable takes a 1, once, and never a 0 or anything else", () => {
    const { guest } = setup();
    guest.select(0);
    guest.write(COMMON, 28, 2, 2);
    expect(guest.read(COMMON, 28, 2)).toBe(0);
    guest.write(COMMON, 28, 2, 1);
    guest.write(COMMON, 28, 2, 0);
    expect(guest.read(COMMON, 28, 2)).toBe(1);
  });

  it("fields of an enabled queue no longer change, before and after DRIVER_OK", () => {
    const { guest } = setup();
    const fields = () => [
      guest.read(COMMON, 24, 2),
      ...[32, 36, 40, 44, 48, 52].map((at) => guest.read(COMMON, at, 4)),
    ];
    const overwrite = () => {
      guest.write(COMMON, 24, 2, 2);
      for (const at of [32, 36, 40, 44, 48, 52]) guest.write(COMMON, at, 4, 0x7000);
    };
    guest.goLive();
    guest.select(1);
    const live = fields();
    overwrite();
    expect(fields()).toEqual(live);
    guest.status = 0;
    guest.negotiate();
    guest.setQueue(0);
    const enabled = fields();
    overwrite();
    expect(fields()).toEqual(enabled);
  });

  it("with no queue selected every queue field reads 0 and ignores writes; only the vector says NO_VECTOR", () => {
    const { guest, fn } = setup();
    const before = fn.core.queues.map((queue) => [queue.size, queue.enabled, ...queue.halves]);
    for (const queue of [2, 0x8000, 0xffff]) {
      guest.select(queue);
      for (let at = 24; at < 64; at += 2) guest.write(COMMON, at, 2, 1);
      for (let at = 32; at < 56; at += 4) guest.write(COMMON, at, 4, 0xffff_ffff);
      for (let at = 24; at < 64; at += 2) expect(guest.read(COMMON, at, 2)).toBe(at === 26 ? 0xffff : 0);
    }
    expect(fn.core.queues.map((queue) => [queue.size, queue.enabled, ...queue.halves])).toEqual(before);
  });

  it("fields of features that are not offered read 0", () => {
    const { guest } = setup();
    guest.goLive();
    for (const at of [56, 58, 60, 62]) {
      guest.write(COMMON, at, 2, 1);
      expect(guest.read(COMMON, at, 2)).toBe(0);
    }
    expect(guest.status).toBe(15);
  });
});

describe("accesses of other widths than the field's", () => {
  it("reads of bytes, of parts and across fields give the bytes that are there", () => {
    const { guest } = setup();
    guest.negotiate();
    guest.setQueue(1, 8, 0x1_2000);
    const bytes = Array.from({ length: 64 }, (_, at) => guest.read(COMMON, at, 1));
    expect(bytes.slice(16, 36)).toEqual([255, 255, 2, 0, 11, 0, 1, 0, 8, 0, 255, 255, 1, 0, 1, 0, 0x00, 0x20, 0x01, 0]);
    for (let at = 0; at <= 60; at++) {
      expect(guest.read(COMMON, at, 2)).toBe(bytes[at] + bytes[at + 1] * 256);
      const high = bytes[at + 2] * 2 ** 16 + bytes[at + 3] * 2 ** 24;
      expect(guest.read(COMMON, at, 4)).toBe(bytes[at] + bytes[at + 1] * 256 + high);
    }
  });

  it("reads past the last field give 0, and writes there do nothing", () => {
    const { guest } = setup();
    guest.select(1);
    for (let at = 32; at < 56; at += 4) guest.write(COMMON, at, 4, 0xffff_ffff);
    for (let at = 56; at < 256; at++) {
      guest.write(COMMON, at, 1, 0);
      for (const width of [1, 2, 4] as const) expect(guest.read(COMMON, at, width)).toBe(0);
    }
    for (let at = 32; at < 56; at += 4) expect(guest.read(COMMON, at, 4)).toBe(0xffff_ffff);
  });

  it("writes take effect at a field's own offset and width only", () => {
    const { guest } = setup();
    guest.negotiate();
    guest.select(1);
    guest.write(COMMON, 22, 1, 0);
    guest.write(COMMON, 20, 4, 0);
    guest.write(COMMON, 24, 4, 0x0001_0002);
    guest.write(COMMON, 33, 4, 0xffff_ffff);
    guest.write(COMMON, 32, 2, 0xffff);
    guest.write(COMMON, 28, 4, 1);
    expect(guest.read(COMMON, 20, 4)).toBe(0x0001_000b);
    expect(guest.read(COMMON, 24, 4)).toBe(0xffff_0010);
    expect(guest.read(COMMON, 28, 4)).toBe(0x0001_0000);
    expect(guest.read(COMMON, 32, 4)).toBe(0);
  });
});

describe("device-specific configuration (4.1.4.6)", () => {
  it("is the device's configuration space, at any offset and width", () => {
    const { guest, device } = setup();
    device.config.bytes.set([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
    expect(guest.read(DEVICE, 0, 4)).toBe(0x0403_0201);
    expect(guest.read(DEVICE, 5, 2)).toBe(0x0706);
    expect(guest.read(DEVICE, 11, 1)).toBe(12);
    guest.write(DEVICE, 6, 2, 0xbeef);
    guest.write(DEVICE, 1, 1, 0x99);
    expect(Array.from(device.config.bytes)).toEqual([1, 0x99, 3, 4, 5, 6, 0xef, 0xbe, 9, 10, 11, 12]);
  });

  it("a 64-bit field is read and written by independent halves [pci.device.pci-device-layout.1]", () => {
    const { guest, device } = setup();
    guest.write(DEVICE, 4, 4, 0x1111_1111);
    guest.write(DEVICE, 0, 4, 0x2222_2222);
    expect(device.config.view.getBigUint64(0, true)).toBe(0x1111_1111_2222_2222n);
    expect([guest.read(DEVICE, 4, 4), guest.read(DEVICE, 0, 4)]).toEqual([0x1111_1111, 0x2222_2222]);
  });

  it("reads 0 and ignores writes past its end", () => {
    const { guest, device } = setup();
    device.config.bytes.fill(0x5a);
    guest.write(DEVICE, 10, 4, 0xffff_ffff);
    guest.write(DEVICE, 12, 4, 0xffff_ffff);
    expect(guest.read(DEVICE, 10, 4)).toBe(0x0000_ffff);
    expect(guest.read(DEVICE, 12, 4)).toBe(0);
    expect(device.config.bytes[9]).toBe(0x5a);
  });
});
