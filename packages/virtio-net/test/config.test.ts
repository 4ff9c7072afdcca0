import { feature, VIRTIO_F_VERSION_1 } from "@virtio-ts/virtio-bindings";
import { describe, expect, it } from "vitest";
import { NET_FEATURE_NAMES, NET_FEATURES, NetConfigError, NetDevice } from "../src/index.ts";
import { MAC, setupNic } from "./support/nic.ts";

const CSUM = 0;
const GUEST_CSUM = 1;
const GUEST_TSO4 = 7;
const GUEST_TSO6 = 8;
const HOST_TSO4 = 11;
const HOST_TSO6 = 12;

describe("features (5.1.3)", () => {
  it("offers what is built, by the standard's numbers", () => {
    expect(new NetDevice().features).toBe(0x1_99abn);
    expect(NET_FEATURES).toBe(0x1_99abn);
    const names = Object.keys(NET_FEATURE_NAMES).map(Number);
    expect(feature(...names) & NET_FEATURES).toBe(NET_FEATURES);
  });

  it.each([
    [[HOST_TSO4], []],
    [[HOST_TSO6], []],
    [[GUEST_TSO4], []],
    [[GUEST_TSO6], []],
    [
      [CSUM, HOST_TSO4, GUEST_TSO4],
      [CSUM, HOST_TSO4],
    ],
    [
      [GUEST_CSUM, GUEST_TSO6, HOST_TSO6],
      [GUEST_CSUM, GUEST_TSO6],
    ],
  ])(
    "asked for %j it offers %j: no feature without those it needs (5.1.3.1) [basic.device.feature-bits.1]",
    (asked, offered) => {
      expect(new NetDevice({ features: feature(...asked) }).features).toBe(feature(...offered));
    },
  );

  it("offers nothing it was not asked for, nor what is not built", () => {
    expect(new NetDevice({ features: 0n }).features).toBe(0n);
    expect(new NetDevice({ features: feature(17, 22, CSUM) }).features).toBe(1n);
  });

  it.each([[[HOST_TSO4]], [[HOST_TSO6, GUEST_CSUM]], [[GUEST_TSO4, CSUM]], [[GUEST_TSO6]]])(
    "a driver that takes %j without what it needs gets no FEATURES_OK",
    (features) => {
      const s = setupNic({ features });
      expect(s.core.status & 8).toBe(0);
      expect(s.nic.acceptsFeatures(feature(...features, VIRTIO_F_VERSION_1))).toBe(false);
    },
  );
});

describe("configuration space (5.1.4)", () => {
  it("holds mac, status and mtu, all readable before FEATURES_OK", () => {
    const { core } = setupNic({ asleep: true, nic: { mtu: 9000 } });
    expect(core.config.size).toBe(12);
    expect(Array.from({ length: 6 }, (_, i) => core.config.read(i, 1))).toEqual([...MAC]);
    expect(core.config.read(6, 2)).toBe(1);
    expect(core.config.read(8, 2)).toBe(0);
    expect(core.config.read(10, 2)).toBe(9000);
  });

  it("has an MTU of 1500 unless told otherwise [net.device.device-configuration-layout.3]", () => {
    expect(setupNic().core.config.read(10, 2)).toBe(1500);
  });

  it.each([67, 65536, 0, -1, 1500.5, Number.NaN])(
    "takes no MTU of %d [net.device.device-configuration-layout.2]",
    (mtu) => {
      expect(() => new NetDevice({ mtu })).toThrow(NetConfigError);
      expect(() => new NetDevice({ mtu })).toThrow(expect.objectContaining({ code: "mtu" }));
    },
  );

  it.each([68, 65535])("takes an MTU of %d [net.device.device-configuration-layout.2]", (mtu) => {
    expect(setupNic({ nic: { mtu } }).core.config.read(10, 2)).toBe(mtu);
  });

  it("keeps its MTU whatever a driver writes or a reset does [net.device.device-configuration-layout.4]", () => {
    for (const legacy of [false, true]) {
      const s = setupNic({ legacy, nic: { mtu: 2000 } });
      s.core.config.write(10, 2, 9000);
      s.core.config.write(8, 4, 0xffff_ffff);
      expect(s.core.config.read(10, 2)).toBe(2000);
      s.core.writeStatus(0);
      s.core.config.write(10, 2, 9000);
      expect(s.core.config.read(10, 2)).toBe(2000);
      expect(() => s.nic.restore({ ...s.nic.save(), mtu: 9000 })).toThrow(
        expect.objectContaining({ code: "mismatch" }),
      );
      expect(s.nic.mtu).toBe(2000);
    }
  });

  it("lets a legacy driver write the address, and only that (5.1.4.1)", () => {
    const s = setupNic({ legacy: true });
    for (const [i, byte] of [2, 0, 0, 0, 0, 9].entries()) s.core.config.write(i, 1, byte);
    s.core.config.write(6, 2, 0);
    expect([...s.nic.mac]).toEqual([2, 0, 0, 0, 0, 9]);
    expect(s.nic.linkUp).toBe(true);
  });

  it("lets a legacy driver write it before features are negotiated", () => {
    const s = setupNic({ legacy: true, asleep: true });
    s.core.writeStatus(3, true);
    s.core.config.write(5, 1, 9);
    expect([...s.nic.mac]).toEqual([...MAC.subarray(0, 5), 9]);
  });

  it("has the machine's address again after a reset", () => {
    const s = setupNic({ legacy: true });
    s.core.config.write(0, 4, 0);
    s.core.writeStatus(0);
    expect([...s.nic.mac]).toEqual([...MAC]);
  });

  it("is read-only for other drivers", () => {
    const s = setupNic();
    for (let i = 0; i < 12; i++) s.core.config.write(i, 1, 0xff);
    expect([...s.nic.mac]).toEqual([...MAC]);
    expect(s.nic.linkUp).toBe(true);
    expect(s.nic.mtu).toBe(1500);
  });
});

describe("a NIC's options", () => {
  it("without an address it makes one up: local, and no group's", () => {
    for (let i = 0; i < 50; i++) expect(new NetDevice().mac[0] & 3).toBe(2);
    expect([...new NetDevice().mac]).not.toEqual([...new NetDevice().mac]);
  });

  it("keeps a copy of the address it is given", () => {
    const mac = Uint8Array.from(MAC);
    const nic = new NetDevice({ mac });
    mac[5] = 0;
    nic.reset();
    expect([...nic.mac]).toEqual([...MAC]);
  });

  it.each([2, 32768])("may be queues of %i entries, from 2 to 32768", (queueSize) => {
    expect(new NetDevice({ queueSize }).queueMaxSizes).toEqual([queueSize, queueSize]);
  });

  it.each([
    ["mac", { mac: new Uint8Array(5) }],
    ["mac", { mac: Uint8Array.of(1, 0, 0, 0, 0, 0) }],
    ["queue-size", { queueSize: 0 }],
    ["queue-size", { queueSize: -1 }],
    ["queue-size", { queueSize: 3 }],
    ["queue-size", { queueSize: 63 }],
    ["queue-size", { queueSize: Number.NaN }],
    ["queue-size", { queueSize: 1 }],
    ["queue-size", { queueSize: 100 }],
    ["queue-size", { queueSize: 65536 }],
    ["queue-size", { queueSize: 2.5 }],
  ])("out of range is an error with code %s", (code, options) => {
    expect(() => new NetDevice(options)).toThrow(expect.objectContaining({ name: "NetConfigError", code }));
  });

  it.each([
    ["52:54:00:12:34:56", 'mac is "52:54:00:12:34:56": expected a Uint8Array of 6 bytes'],
    ["425400", 'mac is "425400": expected a Uint8Array of 6 bytes'],
    ["", 'mac is "": expected a Uint8Array of 6 bytes'],
    [[0x52, 0x54, 0, 0x12, 0x34, 0x56], "mac is [82,84,0,18,52,86]: expected a Uint8Array of 6 bytes"],
    [0x5254, "mac is [21076]: expected a Uint8Array of 6 bytes"],
    [new Uint8Array(7), "mac is [0,0,0,0,0,0,0]: expected a Uint8Array of 6 bytes"],
    [new Uint8Array(0), "mac is []: expected a Uint8Array of 6 bytes"],
  ])("has no address %j, and the error says what was expected", (mac, message) => {
    expect(() => new NetDevice({ mac: mac as Uint8Array })).toThrow(
      expect.objectContaining({ name: "NetConfigError", code: "mac", message: expect.stringContaining(message) }),
    );
  });
});
