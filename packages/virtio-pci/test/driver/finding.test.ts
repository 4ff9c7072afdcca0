import { ManualScheduler, RecordingDevice } from "@virtio-ts/virtio-device/testing";
import { connectFirst, DriverDevice, findDevices, type RegisterAccess } from "@virtio-ts/virtio-driver";
import type { PciFunction } from "@virtio-ts/vm-device";
import { describe, expect, it } from "vitest";
import { PciConfigPorts, PciEcam, PciFinder, VirtioPciDevice } from "../../src/index.ts";
import { connect, onBus, start } from "../support/driven.ts";
import { DriverBus } from "../support/driver-bus.ts";

const refusal = (code: string) => expect.objectContaining({ name: "DriverError", code });

/** What a bus with this identity shows: kinds and types found. */
function types(identity: Record<string, number>, deviceType = 1): number[] {
  const { bus } = onBus({ identity }, new RecordingDevice({ deviceType }));
  return [...bus.finder().devices()].map((found) => found.deviceType);
}

describe("finding devices on PCI (4.1.2)", () => {
  it("matches vendor 0x1AF4 and ids from 0x1040 on by the virtio id they carry [pci.driver.pci-device-discovery.1]", () => {
    expect(types({ deviceId: 0x1041 })).toEqual([1]);
    expect(types({ deviceId: 0x107f })).toEqual([0x3f]);
    expect(types({ deviceId: 0x1080 })).toEqual([]);
    expect(types({ deviceId: 0x1041, vendorId: 0x1af5 })).toEqual([]);
  });

  it.each([
    [0x1000, 1],
    [0x1001, 2],
    [0x1002, 5],
    [0x1003, 3],
    [0x1004, 8],
    [0x1005, 4],
    [0x1009, 9],
  ])("matches the transitional id 0x%x as type %s [pci.driver.pci-device-discovery.2]", (deviceId, type) => {
    expect(types({ deviceId, subsystemId: 0x77 })).toEqual([type]);
  });

  it("takes other ids below 0x1040 by their subsystem", () => {
    expect(types({ deviceId: 0x1010, subsystemId: 16 })).toEqual([16]);
    expect(types({ deviceId: 0x0fff, subsystemId: 16 })).toEqual([]);
  });

  it.each([0, 1, 2, 255])("matches revision %s [pci.driver.pci-device-discovery.3]", (revision) => {
    expect(types({ revision })).toEqual([1]);
  });

  it("matches any subsystem [pci.driver.pci-device-discovery.4]", () => {
    expect(types({ subsystemVendorId: 0x8086, subsystemId: 0xffff })).toEqual([1]);
  });

  it("uses the capabilities of a device that has some, whatever its id [pci.legacy.driver.legacy-interface-a-note-on-device-layout-detection.1]", () => {
    expect(connect(onBus({ mode: "transitional" })).legacy).toBe(false);
    expect(connect(onBus({ mode: "modern" })).legacy).toBe(false);
  });

  it("takes a device without them for a legacy one [pci.legacy.both.legacy-interface-a-note-on-device-layout-detection.1]", async () => {
    const driven = onBus({ mode: "legacy" });
    expect(connect(driven).legacy).toBe(true);
    await start(driven);
    expect(driven.device.events).toContain("activate");
  });

  it("looks for the capabilities where only modern devices are wanted, and gives one without them up, untouched [pci.legacy.driver.legacy-interface-a-note-on-device-layout-detection.2] [pci.legacy.both.legacy-interface-a-note-on-device-layout-detection.2] [basic.legacy.both.legacy-interface-a-note-on-feature-bits.3]", async () => {
    // The capabilities say it, not the ids: a transitional device has a legacy device's.
    const transitional = onBus({ mode: "transitional" });
    expect(transitional.fn.configRead(2, 2)).toBe(0x1005);
    expect(connect(transitional, { interface: "modern" }).legacy).toBe(false);

    const legacy = onBus({ mode: "legacy" });
    expect(() => connect(legacy, { interface: "modern" })).toThrow(
      expect.objectContaining({ code: "bad-capability", message: "00:03.0 has no common structure" }),
    );
    // It looked, in configuration space, and touched none of the device's registers: another driver can have it.
    expect(legacy.bus.configAccesses.some(({ write, offset }) => !write && offset === 0x34)).toBe(true);
    expect([legacy.bus.accesses, legacy.device.events]).toEqual([[], []]);
    await start(legacy);
    expect(legacy.device.events).toContain("activate");
  });

  it.each(["modern", "transitional", "legacy"] as const)(
    "sizes the BARs of a %s device while it decodes none of them: all ones is somebody's address",
    (mode) => {
      const driven = onBus({ mode });
      driven.fn.configWrite(4, 2, 3); // firmware left decoding on
      connect(driven);
      let command = 3;
      let sized = 0;
      for (const { write, offset, value } of driven.bus.configAccesses) {
        if (!write) continue;
        if (offset === 4) command = value;
        if (offset < 0x10 || offset >= 0x28) continue;
        expect(command & 3, `register ${offset} was written while the function decoded`).toBe(0);
        sized += value === 0xffff_ffff ? 1 : 0;
      }
      expect(sized).toBeGreaterThan(5);
      expect(driven.fn.configRead(4, 2) & 7).toBe(7);
    },
  );

  it("uses the legacy interface of a device that has both where that is asked for [pci.legacy.both.legacy-interfaces-a-note-on-pci-device-layout.1]", async () => {
    const driven = onBus({ mode: "transitional" });
    await start(driven, { interface: "legacy" });
    expect(driven.fn.core.legacy).toBe(true);
    expect(new Set(driven.bus.accesses.map(({ bar }) => bar))).toEqual(new Set([0, 1])); // BAR0, and messages
  });

  it("finds no legacy interface behind a memory BAR, or none at all", () => {
    expect(() => connect(onBus({ mode: "modern" }), { interface: "legacy" })).toThrow(refusal("bad-capability"));
    expect(() => connect(onBus({ mode: "transitional" }), { interface: "legacy", ports: null })).toThrow(
      refusal("bad-capability"),
    );
  });
});

/** A bus of functions by `bdf`, as registers of mechanism 1 or ECAM. */
function registers(functions: ReadonlyMap<number, PciFunction>): [ports: RegisterAccess, mmio: RegisterAccess] {
  let address = 0;
  const read = (bdf: number, offset: number, width: 1 | 2 | 4): number =>
    functions.get(bdf)?.configRead(offset, width) ?? 2 ** (8 * width) - 1;
  const write = (bdf: number, offset: number, width: 1 | 2 | 4, value: number): void =>
    functions.get(bdf)?.configWrite(offset, width, value);
  const place = (at: number): [number, number] => [(address >>> 8) & 0xffff, (address & 0xfc) + at - 0xcfc];
  const ecam = (at: number): [number, number] => [(at - 0x8000_0000) >>> 12, at & 0xfff];
  return [
    {
      read: (at, width) => read(...place(at), width),
      write: (at, width, value) => {
        if (at === 0xcf8) address = value;
        else write(...place(at), width, value);
      },
    },
    { read: (at, width) => read(...ecam(at), width), write: (at, width, value) => write(...ecam(at), width, value) },
  ];
}

/** A function that shows nothing but a header. */
function header(fields: readonly (readonly [offset: number, byte: number])[]): PciFunction {
  const bytes = new Uint8Array(256);
  bytes.set([0x86, 0x80]);
  for (const [offset, byte] of fields) bytes[offset] = byte;
  return {
    bars: [],
    configRead: (offset, width) => {
      let value = 0;
      for (let i = width - 1; i >= 0; i--) value = value * 256 + bytes[offset + i];
      return value;
    },
    configWrite: () => {},
    plug: () => {},
    unplug: () => {},
  };
}

describe("walking buses", () => {
  const virtio = (): PciFunction =>
    new VirtioPciDevice(new RecordingDevice({ deviceType: 4 }), {
      memory: new DriverBus().memory,
      scheduler: new ManualScheduler(),
    });

  it.each(["ports", "ecam"] as const)("finds functions behind bridges and in multi-function devices, by %s", (way) => {
    const functions = new Map<number, PciFunction>([
      [0x0000, header([])],
      [0x0008, header([[0x0e, 0x80]])],
      [0x000b, virtio()],
      [0x0011, virtio()], // of a device that has but function 0: not there
      [
        0x0018,
        header([
          [0x0e, 1],
          [0x19, 2],
        ]),
      ],
      [0x0100, virtio()], // no bridge leads there
      [0x0200, virtio()],
      [
        0x02f8,
        header([
          [0x0e, 1],
          [0x19, 0],
        ]),
      ], // leads back
      [0x0500, virtio()], // no bridge leads there
    ]);
    functions.set(0x0010, header([]));
    const [ports, mmio] = registers(functions);
    const config = way === "ports" ? new PciConfigPorts(ports) : new PciEcam(mmio, 0x8000_0000);
    const finder = new PciFinder(new DriverBus().host, { config, ports: null, mmio: null });
    expect([...findDevices([finder], 4)].map(({ location }) => location)).toEqual(["00:01.3", "02:00.0"]);
  });

  it.each([
    [0x0018, 0x04, 0xa001_8004],
    [0x02fb, 0x3c, 0xa02f_b03c],
    [0xffff, 0xffc, 0xafff_fffc],
  ])("reaches function %s, register %s, at %s of the memory window", (bdf, offset, address) => {
    const log: unknown[] = [];
    const mmio: RegisterAccess = {
      read: (...access) => {
        log.push(access);
        return 7;
      },
      write: (...access) => void log.push(access),
    };
    const ecam = new PciEcam(mmio, 0xa000_0000);
    expect(ecam.read(bdf, offset, 4)).toBe(7);
    ecam.write(bdf, offset, 2, 9);
    expect(log).toEqual([
      [address, 4],
      [address, 2, 9],
    ]);
  });

  it.each([
    [0x0018, 0x04, 0x8000_1804, 0xcfc],
    [0x02fb, 0x3e, 0x8002_fb3c, 0xcfe],
    [0xffff, 0xff, 0x80ff_fffc, 0xcff],
  ])("reaches function %s, register %s, by the address %s and the port %s", (bdf, offset, address, port) => {
    const log: unknown[] = [];
    const ports: RegisterAccess = {
      read: (...access) => {
        log.push(access);
        return 7;
      },
      write: (...access) => void log.push(access),
    };
    const config = new PciConfigPorts(ports);
    expect(config.read(bdf, offset, 1)).toBe(7);
    config.write(bdf, offset, 1, 9);
    expect(log).toEqual([
      [0xcf8, 4, address],
      [port, 1],
      [0xcf8, 4, address],
      [port, 1, 9],
    ]);
  });

  it("comes to an end on a bus that answers everything", () => {
    const config = { read: (_: number, offset: number) => (offset === 0x0e ? 0x81 : offset & 0xff), write() {} };
    const finder = new PciFinder(new DriverBus().host, { config, ports: null, mmio: null });
    expect([...finder.devices()]).toEqual([]);
  });

  it("says so when a device that was found is gone", () => {
    const { bus } = onBus();
    const [found] = bus.finder().devices();
    bus.bdf = 0xffff;
    expect(() => found.connect()).toThrow(refusal("device-gone"));
    expect(() => connectFirst([bus.finder()], 4)).toThrow(refusal("not-found"));
  });

  it("leaves a device that can't be used, and goes on", async () => {
    const { bus } = onBus();
    bus.onConfigRead = ({ offset, value }) => (offset === 0x34 ? 0x40 : value); // no capability of virtio there
    const all = [...bus.finder({ interface: "modern" }).devices()];
    expect(all.length).toBe(1);
    bus.onConfigRead = ({ value }) => value;
    await DriverDevice.open(all[0].connect(), bus.host);
  });
});
