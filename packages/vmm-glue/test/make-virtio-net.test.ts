import { NetDevice } from "@virtio-ts/virtio-net/device";
import { describe, expect, it } from "vitest";
import { AddressBus, ConfigMechanism1, Machine, onPci, PCI_CONFIG_PORTS, PciRoot, PORT_SPACE } from "../src/index.ts";
import { IoPortList, type IoPortType, RawBackendError, virtioNetDefaultBackend } from "../src/sel4/index.ts";
import { codeOf } from "./support/block.ts";
import { frame, Wire } from "./support/nic.ts";
import { TestFunction } from "./support/pci-function.ts";
import type { Config } from "./support/registers.ts";
import { arrive, MAC, PortGuest, RecordingFuncs, TestVm } from "./support/sel4.ts";

describe("the make call", () => {
  it("makes a card that the guest finds on the bus by the identity of seL4's", () => {
    const vm = new TestVm();
    const card = vm.make();
    const { config } = new PortGuest(vm, card);
    expect(card.slot.device).toBe(1);
    expect(config.read(0x00, 4)).toBe(0x1000_1af4);
    expect(config.read(0x2c, 4)).toBe(0x0001_1af4);
    expect(config.read(0x08, 4)).toBe(0x0200_0000);
    expect(config.read(0x04, 2) & 3).toBe(3);
    expect(config.read(0x0e, 1)).toBe(0);
    expect([config.read(0x3c, 1), config.read(0x3d, 1)]).toEqual([11, 1]);
  });

  it("finds free ports, and puts BAR 0 there: iobase, or-ed with 1", () => {
    const vm = new TestVm();
    const card = vm.make();
    const second = vm.make();
    expect([card.iobase, second.iobase]).toEqual([0x9000, 0x9400]);
    expect(new PortGuest(vm, second).config.read(0x10, 4)).toBe(0x9401);
    expect(vm.ioports.emulate(0x9400 + 12, true, 2)).toEqual({ outcome: "handled", value: 128 });
  });

  it("takes the very ports it is given, the last of the range included", () => {
    const vm = new TestVm();
    const card = vm.make({ portType: "address", ioportRange: { start: 0x6000, end: 0x603f, size: 0 } });
    expect(card.iobase).toBe(0x6000);
    expect(codeOf(() => vm.ioports.reserve({ start: 0x603f, end: 0x603f, size: 1 }, "address"))).toBe("overlap");
    vm.ioports.reserve({ start: 0x6040, end: 0x6040, size: 1 }, "address");
  });

  it("runs the backend's low-level init before it returns, and takes address and MTU from it", () => {
    const funcs = new RecordingFuncs();
    const card = new TestVm().make({ backend: funcs });
    expect(funcs.calls).toEqual(["lowLevelInit"]);
    expect([[...card.device.mac], card.device.mtu]).toEqual([MAC, 1500]);
  });

  it("prefers the address that getMac gives, where the backend has it", () => {
    const mac = [2, 1, 2, 3, 4, 5];
    const funcs = { ...virtioNetDefaultBackend(), lowLevelInit: () => ({ mac: Uint8Array.from(MAC), mtu: 9000 }) };
    const card = new TestVm().make({ backend: { ...funcs, getMac: () => Uint8Array.from(mac) } });
    expect([[...card.device.mac], card.device.mtu]).toEqual([mac, 9000]);
  });

  it("gives back a handle with the original's fields", () => {
    const vm = new TestVm();
    const funcs = new RecordingFuncs();
    const card = vm.make({ backend: funcs });
    expect(card.emulDriverFuncs).toBe(funcs);
    expect(card.emulDriver).not.toBeNull();
    expect(card.ioops).toBe(vm.machine.memory);
    expect(card.emul.core.device).toBe(card.device);
  });

  it("gives back raw_poll and print_state too, with a guard around what they throw", () => {
    const funcs = new RecordingFuncs();
    const causes: unknown[] = [];
    const card = new TestVm().make({ backend: funcs, onBackendError: (cause) => causes.push(cause) });
    card.rawBackend?.poll();
    card.rawBackend?.printState();
    expect(funcs.calls).toEqual(["lowLevelInit", "poll", "printState"]);
    funcs.poll = () => {
      throw new Error("broken");
    };
    card.rawBackend?.poll();
    expect([causes.length, card.rawBackend?.counters.errors]).toEqual([1, 1]);
    expect(card.rawBackend).toBe(card.backend);
  });

  it("wires the pin and line asked for, and tells the backend each time the line goes up", () => {
    const vm = new TestVm();
    const funcs = new RecordingFuncs();
    const card = vm.make({ backend: funcs, interruptPin: 3, interruptLine: 6 });
    const guest = new PortGuest(vm, card).up();
    expect([guest.config.read(0x3c, 1), guest.config.read(0x3d, 1)]).toEqual([6, 3]);
    guest.send(frame(1));
    guest.send(frame(2));
    expect([funcs.irqs, vm.machine.lineLog.isUp(6)]).toEqual([[6], true]);
    expect(guest.registers.isr()).toBe(1);
    expect(vm.machine.lineLog.isUp(6)).toBe(false);
    guest.send(frame(3));
    expect(funcs.irqs).toEqual([6, 6]);
  });

  it("carries frames both ways", () => {
    const vm = new TestVm();
    const funcs = new RecordingFuncs();
    const card = vm.make({ backend: funcs });
    const guest = new PortGuest(vm, card).up();
    guest.send(frame(1), frame(2, 1514));
    expect(funcs.frames).toEqual([frame(1), frame(2, 1514)]);
    guest.post();
    expect(arrive(card, frame(3, 400))).toBe(true);
    expect(guest.received()).toEqual([frame(3, 400)]);
  });

  it("tells of what the guest's driver did wrong", () => {
    const vm = new TestVm();
    const faults: string[] = [];
    const guest = new PortGuest(vm, vm.make({ onFault: ({ code }) => faults.push(code) })).up();
    guest.tx.chain({ address: 2 ** 40, length: 70 });
    guest.registers.kick(1);
    expect(faults).toEqual(["queue-malformed"]);
  });

  it("takes any other backend too", () => {
    const vm = new TestVm();
    const backend = new Wire();
    const card = vm.make({ backend });
    expect([card.backend, card.emulDriver, card.emulDriverFuncs, card.rawBackend]).toEqual([backend, null, null, null]);
    new PortGuest(vm, card).up().send(frame(1));
    expect(backend.frames).toEqual([frame(1)]);
  });
});

describe("the make call says which step failed, and keeps nothing", () => {
  /** As before the call: no card, no port, no line. */
  function expectNothingKept(vm: TestVm): void {
    expect(vm.ioports.pool.reserved).toBe(0);
    expect(vm.machine.pci.slots.length).toBe(1);
    expect(vm.make().iobase).toBe(0x9000);
  }

  it.each([
    ["ports", { portType: "address", ioportRange: { start: 0xcf8, end: 0xcff, size: 0 } }],
    ["ports", { portType: "address", ioportRange: { start: 0xfff0, end: 0x1_000f, size: 0 } }],
    ["ports", { ioportRange: { start: 0, end: 0, size: 0x1_0000 } }],
    ["ports", { ioportRange: { start: 0, end: 0, size: 0 } }],
    ["ports", { portType: "address", ioportRange: { start: 0x6000, end: 0x5fff, size: 0 } }],
    ["range", { portType: "address", ioportRange: { start: 0x6000, end: 0x600f, size: 0 } }],
    ["range", { portType: "address", ioportRange: { start: 0x6008, end: 0x6047, size: 0 } }],
    ["device", { interruptPin: 0 }],
    ["ports", { ioportRange: { start: 0, end: 0, size: 64.5 } }],
    ["range", { ioportRange: { start: 0, end: 0, size: 1 } }],
    ["device", { interruptPin: 5 }],
    ["device", { interruptPin: 1.5 }],
    ["device", { mode: "modern" }],
    ["device", { net: { queueSize: 100 } }],
    ["pci", { interruptLine: 99 }],
    ["backend", { backend: virtioNetDefaultBackend() }],
  ] as const)("%s: %o", (code, options) => {
    const vm = new TestVm();
    expect(codeOf(() => vm.make(options))).toBe(code);
    expectNothingKept(vm);
  });

  it.each([0, 1, "given", undefined])("ports: a port type of %s, which is none", (portType) => {
    const vm = new TestVm();
    expect(codeOf(() => vm.make({ portType: portType as IoPortType }))).toBe("ports");
    expectNothingKept(vm);
  });

  it("pci: all 32 devices of the bus are taken", () => {
    const vm = new TestVm();
    const slots = Array.from({ length: 31 }, () => vm.machine.pci.plug(new TestFunction()));
    expect(codeOf(() => vm.make())).toBe("pci");
    for (const slot of slots) vm.machine.pci.unplug(slot);
    expectNothingKept(vm);
  });

  it.each([
    ["an address of 5 bytes", { mac: new Uint8Array(5), mtu: 1500 }, "backend"],
    ["an MTU of 10", { mac: Uint8Array.from(MAC), mtu: 10 }, "backend"],
    ["a multicast address", { mac: Uint8Array.of(1, 0, 0, 0, 0, 0), mtu: 1500 }, "device"],
  ] as const)("backend or device: %s", (_, found, code) => {
    const vm = new TestVm();
    expect(codeOf(() => vm.make({ backend: { ...virtioNetDefaultBackend(), lowLevelInit: () => found } }))).toBe(code);
    expectNothingKept(vm);
  });

  it("other-bus: the port list is another machine's", () => {
    const vm = new TestVm();
    expect(codeOf(() => vm.make({ ioports: new IoPortList(0x9000) }))).toBe("other-bus");
    expect(codeOf(() => vm.make({ pci: new Machine({ memory: 4096 }).pci }))).toBe("other-bus");
    expectNothingKept(vm);
  });
});

describe("a backend whose card was not made, or is gone,", () => {
  it("is detached, and can be given to another", async () => {
    const vm = new TestVm();
    const wire = new Wire();
    expect(codeOf(() => vm.make({ backend: wire, interruptLine: 99 }))).toBe("pci");
    expect(wire.send(frame(1))).toBe(false);
    const card = vm.make({ backend: wire });
    expect(wire.send(frame(1))).toBe(true); // dropped: there is no driver yet
    await card.remove();
    expect(wire.send(frame(1))).toBe(false);
    vm.make({ backend: wire });
    expect(wire.send(frame(1))).toBe(true);
  });
});

describe("removing a card", () => {
  it("gives back its device, ports, line and backend", async () => {
    const vm = new TestVm();
    const funcs = new RecordingFuncs();
    const card = vm.make({ backend: funcs });
    const guest = new PortGuest(vm, card).up();
    guest.send(frame(1));
    await Promise.all([card.remove(), card.remove()]);
    expect(vm.machine.lineLog.isUp(11)).toBe(false);
    expect(vm.ioports.emulate(card.iobase, true, 4)).toEqual({ outcome: "unhandled", value: 0xffff_ffff });
    expect(guest.config.read(0, 4)).toBe(0xffff_ffff);
    expect(arrive(card, frame(2))).toBe(true); // a backend that has not noticed yet
    guest.send(frame(3));
    expect(funcs.frames.length).toBe(1);
    expect(vm.make().iobase).toBe(card.iobase);
  });
});

describe("the default backend", () => {
  it("has functions that say which one is not implemented, and no getMac", () => {
    const { tx, getMac } = virtioNetDefaultBackend();
    expect(getMac).toBeNull();
    expect(() => tx(null as never, [], 0)).toThrow(RawBackendError);
    expect(() => tx(null as never, [], 0)).toThrow("tx");
  });

  it("is another one at each call", () => {
    expect(virtioNetDefaultBackend()).not.toBe(virtioNetDefaultBackend());
  });
});

describe("the card's ports", () => {
  /** What a driver does to learn a BAR's size. */
  const sizeOf = (config: Config): number => {
    const before = config.read(0x10, 4);
    config.write(0x10, 4, 0xffff_ffff);
    const size = -(config.read(0x10, 4) & ~3) >>> 0;
    config.write(0x10, 4, before);
    return size;
  };

  it.each([
    ["1 KiB that was found", { portType: "free", ioportRange: { start: 0, end: 0, size: 0x400 } }, 0x9000, 0x400],
    [
      "a size that is no power of two",
      { portType: "free", ioportRange: { start: 0, end: 0, size: 0x50 } },
      0x9000,
      0x40,
    ],
    ["a given range", { portType: "address", ioportRange: { start: 0x6000, end: 0x60ff, size: 0 } }, 0x6000, 0x100],
    [
      "a given range that is not aligned",
      { portType: "address", ioportRange: { start: 0x6040, end: 0x613f, size: 0 } },
      0x6040,
      0x40,
    ],
  ] as const)("are all that BAR 0 can decode of %s", (_, options, iobase, size) => {
    const vm = new TestVm();
    const card = vm.make(options);
    const { config } = new PortGuest(vm, card).up();
    expect([card.iobase, sizeOf(config)]).toEqual([iobase, size]);
    expect(vm.ioports.emulate(iobase + size - 4, true, 4)).toEqual({ outcome: "handled", value: 0 });
    expect(vm.ioports.emulate(iobase + size, true, 4).outcome).toBe("unhandled");
    expect(vm.ioports.emulate(iobase + 12, true, 2).value).toBe(128);
  });

  it("are nobody else's: the thirteenth card, and the next legacy device that firmware places", () => {
    const vm = new TestVm();
    const cards = Array.from({ length: 13 }, () => vm.make());
    expect(cards[12].iobase).toBe(0xc000);
    const { attachment } = vm.machine.devices.add(
      "nic",
      new NetDevice({}),
      onPci(vm.machine, { mode: "legacy", interrupt: "intx" }),
    );
    expect([...attachment.bars.values()]).toEqual([0xc400]);
    expect(vm.make().iobase).toBe(0xc800);
    expect(vm.machine.pci.conflicts).toBe(0);
  });
});

describe("a bus without an interrupt router", () => {
  const bus = () => {
    const ports = new AddressBus({ size: PORT_SPACE });
    const pci = new PciRoot({ ports, mmio: null });
    ports.map(PCI_CONFIG_PORTS, new ConfigMechanism1(pci));
    return { ports, pci, ioports: new IoPortList(0x9000, ports) };
  };

  it("shows the driver the line it was given, and the backend injects it", () => {
    const { ports, pci, ioports } = bus();
    const funcs = new RecordingFuncs();
    const vm = new TestVm();
    const card = vm.make({ pci, ioports, backend: funcs, interruptPin: 2, interruptLine: 9 });
    ports.write(0xcf8, 4, 0x8000_0000 | (card.slot.device << 11) | 0x3c);
    expect(ports.read(0xcfc, 2)).toBe(0x0209);
    expect(card.slot.interrupt).toBeNull();
    card.slot.intx.raise();
    expect(funcs.irqs).toEqual([9]);
  });

  it.each([-1, 256, 1.5, Number.NaN])("has no line %d: the register holds 8 bits", (interruptLine) => {
    const { pci, ioports } = bus();
    expect(codeOf(() => new TestVm().make({ pci, ioports, interruptLine }))).toBe("pci");
    expect(pci.slots.length).toBe(1);
    expect(ioports.pool.reserved).toBe(0);
  });

  it("shows no line where none was given", () => {
    const { ports, pci } = bus();
    for (const options of [{}, { line: null }]) {
      const { device } = pci.plug(new TestFunction(), options);
      ports.write(0xcf8, 4, 0x8000_0000 | (device << 11) | 0x3c);
      expect(ports.read(0xcfc, 1)).toBe(0);
    }
  });
});
