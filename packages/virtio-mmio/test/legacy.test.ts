import { FlexibleDevice, RecordingDevice } from "@virtio-ts/virtio-device/testing";
import { describe, expect, it } from "vitest";
import { type Setup, setup } from "./support/setup.ts";

const NEEDS_RESET = 0x40;

function legacy(device?: RecordingDevice): Setup {
  return setup({ version: 1 }, device);
}

/** QueuePFN of a queue. */
function pfn({ guest }: Setup, queue: number): number {
  guest.select(queue);
  return guest.read(0x40);
}

describe("the registers of legacy version 1 (4.2.4)", () => {
  it("offer features 0 to 31 alone, ANY_LAYOUT among them", () => {
    const { guest } = legacy();
    expect(guest.offered).toBe(0x3800_0021n);
  });

  it("take features and go live without FEATURES_OK", () => {
    const { guest, device, mmio } = legacy();
    guest.goLiveLegacy(0x2000_0021);
    expect([guest.status, device.context?.features, mmio.core.legacy]).toEqual([7, 0x2000_0021n, true]);
    guest.kick(1);
    expect(device.events.at(-1)).toBe("notify 1");
  });

  it("know no features above 31, whatever the driver writes", () => {
    const { guest, device } = legacy();
    guest.write(0x24, 1);
    guest.write(0x20, 0xffff_ffff);
    guest.write(0x24, 0);
    guest.goLiveLegacy(0xffff_ffff);
    guest.status = 7;
    expect(device.context?.features).toBe(0x3800_0021n);
  });

  it("lay a queue out from its page on, the used ring aligned as the driver says", () => {
    const s = legacy(new RecordingDevice({ queues: [256, 256] }));
    const { guest, mmio } = s;
    guest.status = 3;
    guest.write(0x28, 1024);
    guest.placeLegacy(0, 16, 16, 64);
    guest.placeLegacy(1, 32, 256, 4096);
    expect([...mmio.core.queues[0].halves]).toEqual([0x4000, 0, 0x4100, 0, 0x4140, 0]);
    expect([...mmio.core.queues[1].halves]).toEqual([0x8000, 0, 0x9000, 0, 0xa000, 0]);
    expect([pfn(s, 0), pfn(s, 1), pfn(s, 2)]).toEqual([16, 32, 0]);
    guest.status = 7;
    expect(s.device.context?.queues.map((active) => active?.queue.size)).toEqual([16, 256]);
  });

  it("have pages and alignments of 4096 bytes unless told otherwise, after a reset by the machine too", () => {
    const used = setupUsed();
    used.mmio.reset();
    for (const { guest, mmio } of [legacy(), used]) {
      guest.status = 3;
      guest.select(0);
      guest.write(0x40, 4);
      expect([...mmio.core.queues[0].halves]).toEqual([0x4000, 0, 0x4100, 0, 0x5000, 0]);
    }
  });

  it("keep the page size over a driver's reset: Linux sets it when it finds the device, and resets that later", () => {
    const { guest, mmio } = setupUsed();
    guest.status = 3;
    guest.select(0);
    guest.write(0x40, 16);
    expect([...mmio.core.queues[0].halves]).toEqual([0x4000, 0, 0x4100, 0, 0x5000, 0]);
  });

  it("keep an alignment while the status changes, and are back at 4096 bytes in a driver's reset", () => {
    const { guest, mmio } = legacy();
    guest.select(0);
    guest.write(0x3c, 64);
    guest.status = 1;
    guest.status = 3;
    guest.write(0x40, 4);
    expect([...mmio.core.queues[0].halves]).toEqual([0x4000, 0, 0x4100, 0, 0x4140, 0]);
    guest.status = 0;
    guest.select(0);
    guest.write(0x40, 4);
    expect([...mmio.core.queues[0].halves]).toEqual([0x4000, 0, 0x4100, 0, 0x5000, 0]);
  });

  it("ignore a size of 0, by which rcore's virtio-drivers take a queue back", () => {
    const { guest, mmio } = legacy();
    guest.status = 3;
    guest.select(0);
    guest.write(0x38, 8);
    guest.write(0x38, 0);
    guest.write(0x40, 4);
    expect([mmio.core.queues[0].size, mmio.core.queues[0].enabled]).toEqual([8, true]);
  });

  it("ignore a page size or an alignment that is no power of 2", () => {
    const { guest, mmio } = legacy();
    guest.status = 3;
    for (const bad of [0, 3, 4095, 0xffff_ffff]) guest.write(0x28, bad);
    guest.select(0);
    for (const bad of [0, 3, 4095, 0xffff_ffff]) guest.write(0x3c, bad);
    guest.write(0x40, 4);
    expect([...mmio.core.queues[0].halves]).toEqual([0x4000, 0, 0x4100, 0, 0x5000, 0]);
  });

  it("can name pages far above any memory: such a queue is refused when the device goes live", () => {
    const s = legacy();
    for (const [page, size] of [
      [0xffff_ffff, 4096],
      [0xffff_ffff, 0x8000_0000],
      [0x10, 4096],
    ]) {
      s.guest.status = 0;
      s.guest.status = 3;
      s.guest.write(0x28, size);
      s.guest.placeLegacy(0, page);
      s.guest.status = 7;
      expect(s.guest.status).toBe(3 | NEEDS_RESET);
    }
    expect(pfn(s, 0)).toBe(0x10);
  });

  it("take a queue back that is not live yet, and set every page to 0 at a reset", () => {
    const s = legacy();
    s.guest.status = 3;
    s.guest.placeLegacy(0, 4);
    s.guest.write(0x40, 0);
    expect([pfn(s, 0), s.mmio.core.queues[0].enabled]).toEqual([0, false]);
    s.guest.goLiveLegacy();
    expect([pfn(s, 0), pfn(s, 1)]).toEqual([4, 8]);
    s.guest.status = 0;
    expect([pfn(s, 0), pfn(s, 1)]).toEqual([0, 0]);
  });

  it("reset a device of which a queue in use is taken back, and keep the page size", () => {
    for (const device of [new FlexibleDevice(), new RecordingDevice()]) {
      const s = legacy(device);
      s.guest.write(0x28, 1024);
      s.guest.status = 3;
      s.guest.placeLegacy(0, 16);
      s.guest.placeLegacy(1, 32);
      s.guest.status = 7;
      s.guest.select(0);
      s.guest.write(0x40, 0);
      expect([pfn(s, 0), pfn(s, 1), s.guest.status, device.events.at(-1)]).toEqual([0, 0, 0, "reset"]);
      s.guest.placeLegacy(0, 16);
      expect(s.mmio.core.queues[0].address(0)).toBe(0x4000);
    }
  });

  it("take a queue that is in use back before DRIVER_OK: its memory is the driver's again", () => {
    const s = legacy(new FlexibleDevice());
    s.guest.status = 3;
    s.guest.placeLegacy(0, 4);
    s.guest.kick(0);
    s.guest.select(0);
    s.guest.write(0x40, 0);
    expect([pfn(s, 0), s.device.events.at(-1)]).toEqual([0, "reset"]);
    s.guest.status = 0x83;
    expect(s.guest.status).toBe(0x83);
  });

  it("take queues, and their sizes, after DRIVER_OK, as xv6 sets them up", () => {
    const { guest, device } = legacy(new FlexibleDevice());
    for (const status of [1, 3, 11, 15]) guest.status = status;
    guest.write(0x28, 4096);
    for (const queue of [0, 1]) {
      guest.select(queue);
      guest.write(0x38, 8);
      guest.write(0x40, 4 + 4 * queue);
      expect(guest.read(0x40)).toBe(4 + 4 * queue);
    }
    guest.kick(1);
    expect(device.context?.queues.map((active) => active?.queue.size)).toEqual([8, 8]);
    expect(device.events).toEqual(["activate", "start 0", "start 1", "notify 1"]);
  });

  it("ask for no order of the status bits: DRIVER_OK starts the device", () => {
    for (const status of [4, 5, 6, 12]) {
      const { guest, device, faults } = legacy();
      guest.placeLegacy(0, 4);
      guest.status = status;
      guest.kick(0);
      expect([guest.status, device.events, faults]).toEqual([status, ["activate", "notify 0"], []]);
    }
  });

  it("ignore fields of queues that are not there", () => {
    const s = legacy();
    s.guest.status = 3;
    s.guest.placeLegacy(2, 4);
    s.guest.placeLegacy(0xffff_ffff, 4);
    expect(s.mmio.core.queues.some(({ enabled }) => enabled)).toBe(false);
  });

  it("lack the registers that came with version 2", () => {
    const { guest, device } = legacy(new FlexibleDevice());
    guest.goLiveLegacy();
    device.context?.configChanged();
    guest.select(0);
    guest.write(0x44, 0);
    guest.write(0xc0, 1);
    expect([0x44, 0xb0, 0xb4, 0xb8, 0xbc, 0xc0, 0xfc].map((at) => guest.read(at))).toEqual([0, 0, 0, 0, 0, 0, 0]);
    expect(device.events.at(-1)).toBe("start 1");
  });

  it("interrupt by InterruptStatus and the line, as version 2", () => {
    const { guest, device, line } = legacy();
    guest.goLiveLegacy();
    device.context?.queues[0]?.notifier.notify();
    expect([guest.interruptStatus, line.level]).toEqual([1, true]);
    guest.write(0x64, 1);
    expect([guest.interruptStatus, line.level]).toEqual([0, false]);
  });

  it("let a driver use a queue before DRIVER_OK, as some do (3.1.2)", () => {
    const { guest, device } = legacy();
    guest.status = 3;
    guest.placeLegacy(0, 4);
    guest.kick(0);
    expect(device.events).toEqual(["activate", "notify 0"]);
  });

  it("tell the device that writes to its configuration space are a legacy driver's", () => {
    const { guest, device } = legacy();
    const seen: boolean[] = [];
    device.writeConfig = (_offset: number, _data: Uint8Array, byLegacy?: boolean) => {
      seen.push(byLegacy === true);
      return null;
    };
    guest.write(0x100, 1, 1);
    guest.status = 1;
    guest.write(0x100, 1, 1);
    expect(seen).toEqual([true, true]);
  });
});

/** A device that was used with other pages and alignments, and reset. */
function setupUsed(): Setup {
  const s = legacy();
  s.guest.write(0x28, 1024);
  s.guest.select(0);
  s.guest.write(0x3c, 64);
  s.guest.status = 0;
  return s;
}
