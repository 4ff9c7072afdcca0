import { describe, expect, it } from "vitest";
import { DriverDevice } from "../src/index.ts";
import { MockTransport } from "./support/mock-transport.ts";

async function open(transport: MockTransport): Promise<DriverDevice> {
  const device = await DriverDevice.open(transport, transport.host);
  await device.negotiate();
  transport.log.length = 0;
  return device;
}

describe("device configuration space", () => {
  it("reads fields by accesses of their own width, and 64-bit fields by two", async () => {
    const transport = new MockTransport();
    transport.config.set([1, 2, 3, 4, 5, 6, 7, 8]);
    const { config } = await open(transport);
    expect(config.read8(1)).toBe(2);
    expect(config.read16(2)).toBe(0x0403);
    expect(config.read32(4)).toBe(0x0807_0605);
    expect(config.read64(0)).toBe(0x0807_0605_0403_0201n);
    expect(transport.log).toEqual(["read 1 at 1", "read 2 at 2", "read 4 at 4", "read 4 at 0", "read 4 at 4"]);
  });

  it("writes them likewise, the low half of a 64-bit field first", async () => {
    const transport = new MockTransport();
    const { config } = await open(transport);
    config.write64(8, 0x1122_3344_5566_7788n);
    config.write8(0, 0xab);
    config.write16(2, 0xcdef);
    config.write32(4, 0x89ab_cdef);
    expect(transport.log).toEqual(["write 4 at 8", "write 4 at 12", "write 1 at 0", "write 2 at 2", "write 4 at 4"]);
    expect([...transport.config.subarray(0, 16)]).toEqual([
      0xab, 0, 0xef, 0xcd, 0xef, 0xcd, 0xab, 0x89, 0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11,
    ]);
  });

  it("reads a wide field anew when the generation moved meanwhile [basic.driver.device-configuration-space.1]", async () => {
    const transport = new MockTransport();
    const { config } = await open(transport);
    let reads = 0;
    transport.onReadConfig = () => {
      if (++reads !== 2) return;
      transport.config.set([1, 1, 1, 1, 1, 1, 1, 1]);
      transport.generation++;
    };
    expect(config.read64(0)).toBe(0x0101_0101_0101_0101n);
    expect(reads).toBe(4);
  });

  it("reads a wide field of a legacy device until it reads the same twice [basic.legacy.both.legacy-interface-device-configuration-space.1]", async () => {
    const transport = new MockTransport({ legacy: true });
    const { config } = await open(transport);
    let reads = 0;
    transport.onReadConfig = () => {
      if (++reads === 2) transport.config.set([1, 1, 1, 1, 1, 1, 1, 1]);
    };
    expect(config.read64(0)).toBe(0x0101_0101_0101_0101n);
    expect(reads).toBe(8);
  });

  it("reads bytes as they were at one moment", async () => {
    for (const legacy of [false, true]) {
      const transport = new MockTransport({ legacy });
      const { config } = await open(transport);
      let reads = 0;
      transport.onReadConfig = () => {
        if (++reads !== 3) return;
        transport.config.set([9, 9, 9, 9, 9, 9]);
        transport.generation++;
      };
      expect([...config.readBytes(0, 6)]).toEqual([9, 9, 9, 9, 9, 9]);
    }
  });

  it.each([false, true])("does not read for ever what changes for ever (legacy: %s)", async (legacy) => {
    const transport = new MockTransport({ legacy });
    const { config } = await open(transport);
    let reads = 0;
    transport.onReadConfig = () => {
      reads++;
      transport.generation = (transport.generation + 1) & 0xff;
      transport.config[0]++;
    };
    expect(() => config.read64(0)).toThrow(
      expect.objectContaining({
        code: "timeout",
        message: "configuration space has changed during each of 1000 reads",
      }),
    );
    expect(reads).toBe(legacy ? 4000 : 2000); // two halves, which a legacy driver reads twice
  });

  it("has whatever size the device says, and asks only for the fields that are needed [basic.driver.device-configuration-space.3] [basic.driver.device-configuration-space.4]", async () => {
    const large = await open(new MockTransport({ configSize: 2 ** 40 }));
    expect(large.config.has(2 ** 40 - 4, 4)).toBe(true);
    expect(large.config.read8(63)).toBe(0);
    const small = await open(new MockTransport({ configSize: 6 }));
    expect(small.config.has(4, 2)).toBe(true);
    expect(small.config.has(4, 4)).toBe(false);
    expect(small.config.read16(4)).toBe(0);
    expect(() => small.config.read32(4)).toThrow("a field of 4 bytes at 4 of 6");
  });

  it.each([1, 2, 3, -4, 0.5, Number.NaN])("reads no 32-bit field at %s", async (offset) => {
    const { config } = await open(new MockTransport());
    expect(() => config.read32(offset)).toThrow(expect.objectContaining({ code: "invalid" }));
    expect(() => config.read64(offset)).toThrow(expect.objectContaining({ code: "invalid" }));
    expect(() => config.write32(offset, 0)).toThrow(expect.objectContaining({ code: "invalid" }));
  });

  it("may change where nobody wants to know", async () => {
    const transport = new MockTransport();
    const device = await open(transport);
    await device.bindInterrupts(0);
    transport.interrupts?.configChanged();
    expect(device.failure).toBeNull();
  });

  it("tells the driver that it changed", async () => {
    const transport = new MockTransport();
    const device = await open(transport);
    await device.bindInterrupts(0);
    let changes = 0;
    device.onConfigChange = () => void changes++;
    transport.interrupts?.configChanged();
    expect(changes).toBe(1);
  });
});
