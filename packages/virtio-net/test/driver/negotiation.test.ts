/** Which features the driver accepts: VIRTIO 1.4, 5.1.3, 5.1.4.2 and 5.1.5. */
import { feature } from "@virtio-ts/virtio-bindings";
import { describe, expect, it } from "vitest";
import { NET_DRIVER_FEATURES } from "../../src/index.ts";
import { setupStrict } from "./support/strict.ts";
import { F } from "./support/strict-nic.ts";

const ALL = Object.values(F);
/** Bits of the device type; the others are the library's. */
const OWN = ~(((1n << 26n) - 1n) << 24n);

async function accepted(offered: readonly number[], options: Parameters<typeof setupStrict>[0] = {}): Promise<bigint> {
  const device = { features: offered, ...options.device };
  const { driver, device: nic } = await setupStrict({ ...options, upTo: "unconfigured", device });
  expect(nic.problems).toEqual([]);
  return driver.einfo().features & OWN;
}

describe("the driver accepts", () => {
  it("all that it knows, and no more", async () => {
    expect(NET_DRIVER_FEATURES).toBe(0x8200_0000_00e7_bbabn);
    const features = await accepted(ALL, { onAnnounce: () => {} });
    expect(features).toBe(NET_DRIVER_FEATURES);
    expect(
      await accepted(
        Array.from({ length: 24 }, (_, bit) => bit),
        { onAnnounce: () => {} },
      ),
    ).toBe(NET_DRIVER_FEATURES & 0xff_ffffn);
  });

  it("nothing that is not offered", async () => {
    expect(await accepted([])).toBe(0n);
    for (const bit of ALL) expect((await accepted([bit])) & ~feature(bit)).toBe(0n);
  });

  it("MAC [net.driver.device-configuration-layout.2]", async () => {
    expect(await accepted([F.MAC])).toBe(feature(F.MAC));
  });

  it("MTU, from 68 on [net.driver.device-configuration-layout.6]", async () => {
    expect(await accepted([F.MTU])).toBe(feature(F.MTU));
    expect(await accepted([F.MTU], { device: { config: { 10: [68, 0] } } })).toBe(feature(F.MTU));
  });

  it.each([
    ["HASH_REPORT [net.driver.device-configuration-layout.12]", F.HASH_REPORT, F.CTRL_VQ],
    ["CTRL_RX", F.CTRL_RX, F.CTRL_VQ],
    ["MQ", F.MQ, F.CTRL_VQ],
    ["GUEST_ANNOUNCE", F.GUEST_ANNOUNCE, F.CTRL_VQ],
    ["HOST_TSO4", F.HOST_TSO4, F.CSUM],
    ["HOST_TSO6", F.HOST_TSO6, F.CSUM],
  ])("%s only with what it needs", async (_, bit, needs) => {
    const onAnnounce = (): void => {};
    expect(await accepted([bit], { onAnnounce })).toBe(0n);
    expect(await accepted([bit, needs], { onAnnounce })).toBe(feature(bit, needs));
  });

  it("CTRL_MAC_ADDR only with CTRL_RX", async () => {
    expect(await accepted([F.CTRL_VQ, F.CTRL_MAC_ADDR])).toBe(feature(F.CTRL_VQ));
    const all = [F.CTRL_VQ, F.CTRL_RX, F.CTRL_MAC_ADDR];
    expect(await accepted(all)).toBe(feature(...all));
  });

  it("ECN only with segments of some kind", async () => {
    expect(await accepted([F.CSUM, F.HOST_ECN])).toBe(feature(F.CSUM));
    expect(await accepted([F.CSUM, F.HOST_TSO6, F.HOST_ECN])).toBe(feature(F.CSUM, F.HOST_TSO6, F.HOST_ECN));
  });

  it("nothing it was told not to, nor what needs that", async () => {
    const without = feature(F.CTRL_VQ, F.MAC);
    expect(await accepted(ALL, { without })).toBe(NET_DRIVER_FEATURES & 0x8000_0000_0001_ff8bn);
  });

  it("GUEST_ANNOUNCE only where somebody announces", async () => {
    expect(await accepted([F.CTRL_VQ, F.GUEST_ANNOUNCE])).toBe(feature(F.CTRL_VQ));
  });

  it("the packed ring, and reserved features, but for those it was told not to", async () => {
    const ringFeatures = feature(32, 29, 34);
    const packed = await setupStrict({ ringFeatures });
    expect(packed.driver.einfo().features & ~OWN).toBe(ringFeatures);
    const split = await setupStrict({ ringFeatures, without: feature(34) });
    expect(split.driver.einfo().features & ~OWN).toBe(feature(32, 29));
  });
});

describe("what configuration space can't mean is not believed", () => {
  it.each([
    ["a multicast address", F.MAC, 0, [1, 2, 3, 4, 5, 6]],
    ["no address", F.MAC, 0, [0, 0, 0, 0, 0, 0]],
    ["an MTU of 0", F.MTU, 10, [0, 0]],
    ["an MTU of 67", F.MTU, 10, [67, 0]],
  ])("%s: the feature is not accepted", async (_, bit, offset, bytes) => {
    const device = { features: [bit], config: { [offset]: bytes } };
    const { driver } = await setupStrict({ device });
    expect(driver.einfo().features & OWN).toBe(0n);
    expect(driver.mtu).toBe(1500);
    expect([driver.hwaddr[0] & 1, driver.hwaddr.some((byte) => byte !== 0)]).toEqual([0, true]);
  });

  it.each([
    [0, false],
    [1, true],
    [0x8000, true],
    [0x8001, false],
    [0xffff, false],
  ])("%i queue pairs: %s", async (pairs, believed) => {
    const device = { config: { 8: [pairs & 0xff, pairs >> 8] } };
    const features = await accepted([F.CTRL_VQ, F.MQ], { device });
    expect(features).toBe(believed ? feature(F.CTRL_VQ, F.MQ) : feature(F.CTRL_VQ));
  });

  it.each([
    [5, []],
    [6, [F.MAC]],
    [8, [F.MAC, F.STATUS]],
    [9, [F.MAC, F.STATUS]],
    [10, [F.MAC, F.STATUS, F.MQ]],
    [12, [F.MAC, F.STATUS, F.MQ, F.MTU]],
    [24, [F.MAC, F.STATUS, F.MQ, F.MTU, F.HASH_REPORT]],
  ])("of %i bytes of it, what lies beyond is not there", async (configSize, features) => {
    const offered = [F.MAC, F.STATUS, F.MTU, F.MQ, F.CTRL_VQ, F.HASH_REPORT];
    expect(await accepted(offered, { device: { configSize } })).toBe(feature(F.CTRL_VQ, ...features));
  });

  it("an address that changes while it is read is read whole", async () => {
    const s = await setupStrict({ upTo: "unprobed" });
    const read = s.device.readConfig.bind(s.device);
    let reads = 0;
    s.device.readConfig = (offset, data) => {
      if (offset < 6 && reads++ === 3) {
        s.device.config.bytes.set([2, 2, 2, 2, 2, 2]);
        s.core.config.changed();
      }
      return read(offset, data);
    };
    await s.driver.probe();
    expect([...s.driver.hwaddr]).toEqual([2, 2, 2, 2, 2, 2]);
  });
});

describe("configuration space is never written [net.driver.device-configuration-layout.1]", () => {
  it("but of a legacy device, to set the address, from its first byte to its last", async () => {
    const device = { features: [F.MAC, F.STATUS, F.MTU] };
    const mac = Uint8Array.of(2, 4, 6, 8, 10, 12);
    const modern = await setupStrict({ device });
    await expect(modern.driver.setHwaddr(mac)).rejects.toMatchObject({ errno: "ENOTSUP" });
    await modern.driver.stop();
    await modern.driver.start();
    expect(modern.device.configWrites).toEqual([]);
    const commanded = await setupStrict({ device: { features: [F.MAC, F.CTRL_VQ, F.CTRL_RX, F.CTRL_MAC_ADDR] } });
    await commanded.driver.setHwaddr(mac);
    expect(commanded.device.configWrites).toEqual([]);
    const legacy = await setupStrict({ legacy: true, device });
    await legacy.driver.setHwaddr(mac);
    expect(legacy.device.configWrites).toEqual([...mac].map((byte, i) => [i, [byte]]));
    expect(legacy.driver.hwaddr).toEqual(mac);
  });
});

describe("the link", () => {
  it("is taken to be up without STATUS, and is what bit 0 says with it [net.driver.device-configuration-layout.5] [basic.driver.device-configuration-space.2]", async () => {
    const config = { 6: [0xfe, 0xff] };
    expect((await setupStrict({ device: { features: [], config } })).driver.linkUp).toBe(true);
    expect((await setupStrict({ device: { features: [F.STATUS], config } })).driver.linkUp).toBe(false);
    expect((await setupStrict({ device: { features: [F.STATUS] } })).driver.linkUp).toBe(true);
  });

  it("tells when it goes down and up, once each", async () => {
    const seen: boolean[] = [];
    const { device, driver } = await setupStrict({ onLink: (up) => seen.push(up) });
    for (const status of [1, 0, 0, 2, 1, 3, 0]) device.setStatus(status);
    expect(seen).toEqual([false, true, false]);
    expect([driver.linkUp, driver.einfo().linkUp]).toEqual([false, false]);
  });

  it("that changed between probe and start is told of", async () => {
    const seen: boolean[] = [];
    const { device, driver } = await setupStrict({ upTo: "queues", onLink: (up) => seen.push(up) });
    device.setStatus(0);
    await driver.start();
    expect([seen, driver.linkUp]).toEqual([[false], false]);
  });

  it("that changes while the driver starts is told of when packets flow, and once", async () => {
    const seen: unknown[] = [];
    const s = await setupStrict({ upTo: "queues", onLink: (up) => seen.push(up, s.rxqs[0].rxOne()) });
    const { notify } = s.transport;
    s.transport.notify = (index) => {
      s.transport.notify = notify;
      s.device.setStatus(0);
      notify.call(s.transport, index);
    };
    await s.driver.start();
    expect([seen, s.driver.linkUp]).toEqual([[false, 0], false]);
  });

  it("that changed while the driver was stopped is told of", async () => {
    const seen: boolean[] = [];
    const { device, driver } = await setupStrict({ onLink: (up) => seen.push(up) });
    await driver.stop();
    device.config.bytes[6] = 0;
    await driver.start();
    expect([seen, driver.linkUp]).toEqual([[false], false]);
  });

  it("that flaps does no harm", async () => {
    let told = 0;
    const { device, driver } = await setupStrict({ onLink: () => void told++ });
    for (let i = 0; i < 10_001; i++) device.setStatus(i & 1);
    expect([told, driver.linkUp, driver.state]).toEqual([10_001, false, 4]);
  });
});
