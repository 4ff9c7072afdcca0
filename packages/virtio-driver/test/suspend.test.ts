import { feature } from "@virtio-ts/virtio-bindings";
import { BufferElements } from "@virtio-ts/virtio-queue";
import { describe, expect, it } from "vitest";
import { DriverDevice, type Virtqueue } from "../src/index.ts";
import { MockTransport } from "./support/mock-transport.ts";

async function start(suspendable = true): Promise<[MockTransport, DriverDevice, Virtqueue<string>]> {
  const transport = new MockTransport({ offered: feature(32) | (suspendable ? feature(43) : 0n) });
  const device = await DriverDevice.open(transport, transport.host);
  await device.negotiate();
  const queue = await device.createQueue<string>(0);
  return [transport, device, queue];
}

const elements = new BufferElements().writable(0x8000, 8);

/** A device that takes `reads` reads of its status to suspend and to resume. */
function takesTime(transport: MockTransport, reads: number): void {
  let left = 0;
  let goal = 0;
  transport.onWriteStatus = (status) => {
    if ((status & 20) !== 20) return status;
    goal = (transport.status & 16) === 0 ? status & ~4 : status & ~16;
    left = reads;
    return (goal & 16) === 0 ? status & ~4 : status & ~16;
  };
  transport.onReadStatus = (status) => {
    if (goal === 0 || left-- > 0) return status;
    transport.status = goal;
    goal = 0;
    return transport.status;
  };
}

describe("a suspended device", () => {
  it("is one that says so: SUSPEND set and DRIVER_OK not [basic.driver.device-suspend.2]", async () => {
    const [transport, device] = await start();
    await device.start();
    takesTime(transport, 3);
    await device.suspend();
    expect(transport.status).toBe(27);
    expect(transport.clock.sleeps).toBeGreaterThan(1);
  });

  it("is asked for only when it is driven and was said to be possible [basic.driver.device-suspend.1]", async () => {
    const [transport, device] = await start();
    await expect(device.suspend()).rejects.toMatchObject({ code: "invalid" });
    const [other, without] = await start(false);
    await without.start();
    await expect(without.suspend()).rejects.toMatchObject({ code: "not-supported" });
    for (const { log } of [transport, other]) {
      expect(log.some((entry) => /status (1[6-9]|[23]\d)/.test(entry))).toBe(false);
    }
  });

  it("gets no buffer [basic.driver.device-suspend.3], no notification [basic.driver.device-suspend.4], no configuration [basic.driver.device-suspend.5]", async () => {
    const [transport, device, queue] = await start();
    await device.start();
    takesTime(transport, 0);
    await queue.enqueue(elements, "before");
    await device.suspend();
    transport.log.length = 0;
    await expect(queue.enqueue(elements, "during")).rejects.toMatchObject({ code: "invalid" });
    expect(() => queue.tryEnqueue(elements, "during")).toThrow(expect.objectContaining({ code: "invalid" }));
    queue.notify();
    expect(() => device.config.write8(0, 1)).toThrow(expect.objectContaining({ code: "invalid" }));
    expect(transport.log).toEqual([]);
    expect(transport.memory.readU16(transport.areas.get(0)!.driverArea + 2)).toBe(1);
    await device.resume();
    expect(transport.log).toEqual(["status 31", "notify 0"]);
  });

  it("goes on when it says so: SUSPEND clear and DRIVER_OK set [basic.driver.device-suspend.6]", async () => {
    const [transport, device, queue] = await start();
    await device.start();
    takesTime(transport, 4);
    await device.suspend();
    const resumed = device.resume();
    await Promise.resolve();
    expect(() => queue.tryEnqueue(elements, "early")).toThrow(expect.objectContaining({ code: "invalid" }));
    await resumed;
    expect(transport.status).toBe(15);
    expect(queue.tryEnqueue(elements, "now")).toBe(true);
    await expect(device.resume()).rejects.toMatchObject({ code: "invalid" });
  });

  it("is given up when it asks for a reset instead, or never gets there", async () => {
    const [transport, device] = await start();
    await device.start();
    transport.onWriteStatus = (status) => ((status & 16) === 0 ? status : status | 0x40);
    await expect(device.suspend()).rejects.toMatchObject({ code: "needs-reset" });
    const [slow, other] = await start();
    await other.start();
    slow.onWriteStatus = (status) => status & ~16;
    await expect(other.suspend()).rejects.toMatchObject({ code: "timeout" });
    expect(other.failure?.code).toBe("timeout");
  });
});
