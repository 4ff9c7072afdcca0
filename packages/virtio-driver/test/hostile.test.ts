/**
 * Devices that break off, lie or hang while they are brought to life: each ends in an error that says so, in bounded
 * time, with no memory lost.
 * @module
 */

import { feature } from "@virtio-ts/virtio-bindings";
import { BufferElements } from "@virtio-ts/virtio-queue";
import { describe, expect, it } from "vitest";
import { DriverDevice, DriverError } from "../src/index.ts";
import { driveAnything } from "../src/testing/index.ts";
import { MockTransport } from "./support/mock-transport.ts";

const VERSION_1 = feature(32);

/** Brings a device to life, and ends it. @returns the code of what went wrong */
function drive(transport: MockTransport): Promise<string> {
  return driveAnything(
    () => transport,
    transport.host,
    () => {},
  );
}

describe("a hostile device", () => {
  it("whose status never reads 0 does not hang its driver", async () => {
    const transport = new MockTransport();
    transport.onReadStatus = () => 0x0f;
    expect(await drive(transport)).toBe("timeout");
    expect(transport.clock.time).toBeGreaterThanOrEqual(5000);
    expect(transport.clock.time).toBeLessThan(6000);
    expect(transport.host.dma.allocated).toBe(0);
  });

  it("that is gone, so that its registers read as all ones, is told by that at whatever step", async () => {
    for (let at = 1; at <= 8; at++) {
      const transport = new MockTransport();
      let reads = 0;
      transport.onReadStatus = (status) => (++reads >= at ? 0xff : status);
      expect(await drive(transport)).toBe(at < 8 ? "device-gone" : "fine");
      expect(transport.host.dma.allocated).toBe(0);
    }
  });

  it("that is gone is found out when its configuration changes", async () => {
    const transport = new MockTransport();
    const device = await DriverDevice.open(transport, transport.host);
    await device.negotiate();
    await device.bindInterrupts(0);
    await device.start();
    transport.onReadStatus = () => 0xff;
    transport.interrupts?.configChanged();
    expect(device.failure?.code).toBe("device-gone");
    expect(device.failure?.errno).toBe("ENXIO");
  });

  it("whose features change between reads gets what it offered at first, or is refused", async () => {
    const transport = new MockTransport({ offered: VERSION_1 | feature(0) });
    const device = await DriverDevice.open(transport, transport.host);
    transport.offered = feature(1);
    await device.negotiate({ wanted: feature(0, 1) });
    expect(transport.accepted).toBe(VERSION_1 | feature(0));
  });

  it("that asks for a reset at once is not started", async () => {
    const transport = new MockTransport();
    transport.onWriteStatus = (status) => (status === 15 ? 15 | 0x40 : status);
    expect(await drive(transport)).toBe("needs-reset");
    expect(transport.host.dma.allocated).toBe(0);
  });

  it("that does not take DRIVER_OK is not started", async () => {
    const transport = new MockTransport();
    transport.onWriteStatus = (status) => status & ~4;
    expect(await drive(transport)).toBe("refused");
  });

  it.each(["refused", "timeout", "bad-capability", "address-range"] as const)(
    "that does not take a queue (%s) is given up, and costs no memory",
    async (code) => {
      const transport = new MockTransport();
      transport.enableError = new DriverError(code, "no");
      expect(await drive(transport)).toBe(code);
      expect(transport.log).toContain("status 139");
      expect(transport.host.dma.allocated).toBe(0);
    },
  );

  it("with more queue than there is memory is refused", async () => {
    const transport = new MockTransport({ maxSizes: [0x8000, 0x8000] });
    expect(await drive(transport)).toBe("no-memory");
    expect(transport.host.dma.allocated).toBe(0);
  });

  it("that does not end its reset keeps its memory until it does", async () => {
    const transport = new MockTransport();
    const device = await DriverDevice.open(transport, transport.host);
    await device.negotiate();
    const queue = await device.createQueue<string>(0);
    await device.start();
    await queue.enqueue(new BufferElements().writable(0x8000, 8), "theirs");
    transport.onReadStatus = () => 15;
    await expect(device.close()).rejects.toMatchObject({ code: "timeout" });
    expect(transport.host.dma.allocated).toBe(1);
    expect(() => queue.reclaim()).toThrow(DriverError);
    transport.onReadStatus = (status) => status;
    await device.close();
    expect(transport.host.dma.allocated).toBe(0);
    expect(queue.reclaim()).toEqual(["theirs"]);
  });

  it("that interrupts for queues that are not there interrupts nobody", async () => {
    const transport = new MockTransport();
    const device = await DriverDevice.open(transport, transport.host);
    await device.negotiate();
    await device.bindInterrupts(1);
    let told = 0;
    await device.createQueue(0, { onUsed: () => void told++ });
    await device.start();
    for (const index of [1, 0xffff, -1]) transport.interrupts?.used(index);
    expect(told).toBe(0);
    transport.interrupts?.used(0);
    expect(told).toBe(1);
    device.giveUp(new DriverError("needs-reset", "enough"));
    transport.interrupts?.used(0);
    transport.interrupts?.configChanged();
    expect(told).toBe(1);
  });
});
