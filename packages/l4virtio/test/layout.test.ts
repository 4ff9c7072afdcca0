import { describe, expect, it } from "vitest";
import * as layout from "../src/layout/index.ts";

describe("the header of the config page", () => {
  it("has its fields where L4Re has them", () => {
    expect([layout.MAGIC, layout.VERSION, layout.DEVICE_ID, layout.VENDOR_ID]).toEqual([0x00, 0x04, 0x08, 0x0c]);
    expect([layout.DEVICE_FEATURES, layout.NUM_QUEUES, layout.QUEUES_OFFSET]).toEqual([0x10, 0x28, 0x2c]);
    expect([layout.STATUS, layout.GENERATION, layout.DEVICE_CONFIG]).toEqual([0x70, 0xfc, 0x100]);
    expect([layout.MAGIC_VALUE, layout.VERSION_VALUE]).toEqual([0x74726976, 2]);
    expect(layout.headerLayout(160)).toEqual({
      cmdConfigBit: 160,
      featureWords: 6,
      deviceFeaturesMap: 0xc0,
      driverFeaturesMap: 0xe0,
      cfgDriverNotifyIndex: 0x74,
      cfgDeviceNotifyIndex: 0x78,
      cmd: 0x7c,
      sharedMemory: 0xb0,
    });
  });

  it("names the fields of a register map too, though they select nothing", () => {
    expect([layout.DEVICE_FEATURES_SEL, layout.DRIVER_FEATURES, layout.DRIVER_FEATURES_SEL]).toEqual([
      0x14, 0x20, 0x24,
    ]);
    expect([layout.QUEUE_SEL, layout.SELECTED_NUM_MAX, layout.SELECTED_NUM]).toEqual([0x30, 0x34, 0x38]);
    expect([layout.SELECTED_READY, layout.QUEUE_NOTIFY, layout.IRQ_STATUS, layout.IRQ_ACK]).toEqual([
      0x44, 0x50, 0x60, 0x64,
    ]);
    expect([layout.SELECTED_DESC, layout.SELECTED_AVAIL, layout.SELECTED_USED]).toEqual([0x80, 0x90, 0xa0]);
    expect([layout.SHM_SEL, layout.SHM_LEN, layout.SHM_BASE]).toEqual([0xac, 0xb0, 0xb8]);
  });

  it("has wider maps where CMD_CONFIG is bit 224", () => {
    expect(layout.headerLayout(224)).toEqual({
      cmdConfigBit: 224,
      featureWords: 8,
      deviceFeaturesMap: 0xa8,
      driverFeaturesMap: 0xc8,
      cfgDriverNotifyIndex: 0xf0,
      cfgDeviceNotifyIndex: 0xf4,
      cmd: 0xf8,
      sharedMemory: null,
    });
  });
});

describe("a queue entry", () => {
  const bytes = new Uint8Array(4096);
  const page = new layout.ConfigPage(bytes, layout.headerLayout(160));
  const entry = {
    num: 0x0102,
    ready: 1,
    driverNotifyIndex: 0x0304,
    deviceNotifyIndex: 0x0506,
    halves: [0x11111110, 0x1, 0x22222220, 0x2, 0x33333330, 0x3],
  };

  it("has 40 bytes, each field where L4Re has it", () => {
    page.storeQueue(layout.queueEntryAt(0x110, 1), entry);
    page.storeNumMax(layout.queueEntryAt(0x110, 1), 0x0708);
    const at = 0x110 + 40;
    expect([...bytes.subarray(at, at + 40)]).toEqual([
      ...[0x08, 0x07, 0x02, 0x01, 0x01, 0x00, 0x04, 0x03],
      ...[0x10, 0x11, 0x11, 0x11, 0x01, 0x00, 0x00, 0x00],
      ...[0x20, 0x22, 0x22, 0x22, 0x02, 0x00, 0x00, 0x00],
      ...[0x30, 0x33, 0x33, 0x33, 0x03, 0x00, 0x00, 0x00],
      ...[0x06, 0x05, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00],
    ]);
    expect(page.loadQueue(at)).toEqual(entry);
    expect(page.loadNumMax(at)).toBe(0x0708);
  });

  it.each([
    [0, 1, 0x100],
    [1, 2, 0x110],
    [16, 2, 0x110],
    [17, 2, 0x120],
    [24, 95, 0x120],
    [0, 96, 0x100],
  ])("lies behind %d bytes of configuration, for %d queues at 0x%x", (configSize, count, offset) => {
    expect(layout.placeQueues(configSize, count)).toEqual({ offset, count });
  });

  it.each([
    [24, 96],
    [0, 97],
    [3840, 1],
  ])("is nowhere when behind %d bytes of configuration there is no room for %d", (configSize, count) => {
    expect(layout.placeQueues(configSize, count)).toEqual({ offset: 0, count: 0 });
  });
});

describe("operations, commands and errors", () => {
  it("have L4Re's numbers", () => {
    expect(layout.L4VIRTIO_PROTOCOL).toBe(0);
    expect([
      layout.OP_SET_STATUS,
      layout.OP_CONFIG_QUEUE,
      layout.OP_REGISTER_IFACE,
      layout.OP_REGISTER_DS,
      layout.OP_DEVICE_CONFIG,
      layout.OP_GET_DEVICE_IRQ,
    ]).toEqual([0, 1, 2, 3, 4, 5]);
    expect([
      layout.CMD_NONE,
      layout.CMD_SET_STATUS,
      layout.CMD_CFG_QUEUE,
      layout.CMD_CFG_CHANGED,
      layout.CMD_NOTIFY_QUEUE,
      layout.CMD_MASK,
    ]).toEqual([0, 0x01000000, 0x02000000, 0x04000000, 0x08000000, 0xff000000]);
    expect([layout.L4_EOK, layout.L4_EIO, layout.L4_ENOMEM, layout.L4_EBUSY]).toEqual([0, -5, -12, -16]);
    expect([layout.L4_EINVAL, layout.L4_ERANGE, layout.L4_ENOSYS]).toEqual([-22, -34, -38]);
    expect(layout.l4ResultName(-34)).toBe("-L4_ERANGE");
  });
});

describe("a view of the page", () => {
  it.each([
    ["too few bytes", new Uint8Array(4095)],
    ["a misaligned start", new Uint8Array(new ArrayBuffer(8192), 4)],
  ])("is refused over %s", (_, bytes) => {
    expect(() => new layout.ConfigPage(bytes, layout.headerLayout(160))).toThrow(
      expect.objectContaining({ name: "L4VirtioError", code: "page" }),
    );
  });
});
