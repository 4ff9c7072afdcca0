/**
 * One test for each known defect of the seL4 VMM's virtio_net that shows we don't have it, through the whole stack:
 * the guest's ports, the PCI bus, the legacy interface, the network device, a backend of functions.
 */
import { describe, expect, it } from "vitest";
import { type RawBackend, type VirtioNet, virtioNetDefaultBackend } from "../src/sel4/index.ts";
import { frame } from "./support/nic.ts";
import { Config } from "./support/registers.ts";
import { NEXT, WRITE } from "./support/ring.ts";
import { arrive, FREE_1K, MAC, PortGuest, RecordingFuncs, TestVm } from "./support/sel4.ts";

const WIDTHS = [1, 2, 4] as const;

function setUp(): { vm: TestVm; funcs: RecordingFuncs; card: VirtioNet; guest: PortGuest } {
  const vm = new TestVm();
  const funcs = new RecordingFuncs();
  const card = vm.make({ backend: funcs });
  return { vm, funcs, card, guest: new PortGuest(vm, card).up() };
}

/** Frames travel both ways. */
function expectWorks(card: VirtioNet, guest: PortGuest, funcs: RecordingFuncs): void {
  const sent = funcs.frames.length;
  guest.send(frame(77));
  expect(funcs.frames.slice(sent)).toEqual([frame(77)]);
  guest.received();
  guest.post();
  arrive(card, frame(78));
  expect(guest.received()).toEqual([frame(78)]);
}

describe("seL4 defect:", () => {
  it("a too-short receive chain is never truncated and walks garbage — here the frame is dropped whole", () => {
    const { vm, card, guest, funcs } = setUp();
    const { memory } = vm.machine;
    // One buffer of 32 bytes; behind it the table holds garbage, which a walk past the end would follow.
    guest.rx.descriptor(1, guest.base + 0xf_0000, 4096, WRITE | NEXT, 1);
    guest.rx.chain({ address: guest.base + 0x8_0000, length: 32, writable: true });
    guest.rx.descriptor(0, guest.base + 0x8_0000, 32, WRITE, 1); // `next` without NEXT
    const before = memory.regions[0].u8.slice();
    expect(arrive(card, frame(1, 300))).toBe(true);
    expect(Buffer.compare(memory.regions[0].u8, before)).toBe(0);
    expect(guest.rx.takeUsed()).toEqual([]);
    expect(card.device.counters.dropped.rxTooLarge).toBe(1);
    expectWorks(card, guest.up(), funcs);
  });

  it("transmit chains are walked without a bound — here a loop stops the queue, and a reset brings it back", () => {
    const { card, guest, funcs } = setUp();
    guest.tx.descriptor(0, guest.base + 0xf_0000, 64, NEXT, 1);
    guest.tx.descriptor(1, guest.base + 0xf_0000, 64, NEXT, 0);
    guest.tx.offer(0);
    guest.registers.kick(1);
    expect(guest.registers.status() & 0x40).toBe(0x40);
    expect(funcs.frames).toEqual([]);
    expectWorks(card, guest.up(), funcs);
  });

  it("descriptor indices are not checked — here one past the table stops the queue", () => {
    const { card, guest, funcs } = setUp();
    for (const lay of [
      () => guest.tx.offer(128),
      () => guest.tx.offer(0xffff),
      () => {
        guest.tx.descriptor(0, guest.base + 0xf_0000, 64, NEXT, 128);
        guest.tx.offer(0);
      },
    ]) {
      lay();
      guest.registers.kick(1);
      expect(guest.registers.status() & 0x40).toBe(0x40);
      guest.up();
    }
    expect(funcs.frames).toEqual([]);
    expectWorks(card, guest, funcs);
  });

  it("frames over 2048 bytes are silently truncated — here they go whole, up to the MTU", () => {
    const vm = new TestVm();
    const funcs = new RecordingFuncs();
    const card = vm.make({
      backend: { ...bound(funcs), lowLevelInit: () => ({ mac: Uint8Array.from(MAC), mtu: 9000 }) },
    });
    const guest = new PortGuest(vm, card).up();
    const large = frame(5, 9014);
    const address = guest.base + 0xa_0000;
    vm.machine.memory.write(address + 10, large);
    guest.tx.chain({ address, length: 10 + large.length });
    guest.registers.kick(1);
    expect(funcs.frames).toEqual([large]);
    const buffer = guest.base + 0xb_0000;
    guest.rx.chain({ address: buffer, length: 10_000, writable: true });
    guest.registers.kick(0);
    arrive(card, large);
    const received = new Uint8Array(9014);
    vm.machine.memory.read(buffer + 10, received);
    expect([guest.rx.takeUsed(), received]).toEqual([[{ id: 0, length: 9024 }], large]);
  });

  it("writing status 0 does not reset the indices — here both queues start anew", () => {
    const { card, guest, funcs } = setUp();
    for (let round = 0; round < 3; round++) {
      guest.send(frame(1), frame(2), frame(3));
      guest.post();
      arrive(card, frame(4));
      expect(guest.tx.takeUsed().length).toBe(3);
      expect(guest.received().length).toBe(1);
      guest.up(); // fresh rings, whose indices are 0
    }
    expect(guest.registers.ports.read(8, 4)).toBe(guest.rx.base / 4096 + 16); // queue 1 is still selected
    guest.registers.setStatus(0);
    expect([guest.registers.ports.read(14, 2), guest.registers.ports.read(8, 4)]).toEqual([0, 0]);
    expectWorks(card, guest.up(), funcs);
  });

  it("the driver is never asked for — here a card whose driver has not shown up moves nothing", () => {
    const { card, guest, funcs, vm } = setUp();
    for (const status of [0, 0x80, 0x81]) {
      guest.registers.setStatus(0);
      guest.rx.clear();
      guest.tx.clear();
      guest.registers.setStatus(status);
      guest.registers.place(0, guest.rx);
      guest.registers.place(1, guest.tx);
      guest.post();
      guest.send(frame(1));
      arrive(card, frame(2));
      expect(funcs.frames).toEqual([]);
      expect([guest.tx.takeUsed(), guest.rx.takeUsed()]).toEqual([[], []]);
      expect(card.device.counters.dropped.rxNotReady).toBeGreaterThan(0);
    }
    // A modern driver must say DRIVER_OK; a legacy one may use the card before it does (3.1.2), unless it gave up.
    expect(vm.machine.lineLog.isUp(11)).toBe(false);
    expectWorks(card, guest.up(), funcs);
  });

  it("the ISR is never cleared — here reading it clears it, and lowers the line [pci.device.isr-status-capability.5]", () => {
    const { guest, vm } = setUp();
    guest.send(frame(1));
    expect(vm.machine.lineLog.isUp(11)).toBe(true);
    expect([guest.registers.isr(), guest.registers.isr()]).toEqual([1, 0]);
    expect(vm.machine.lineLog.isUp(11)).toBe(false);
  });

  it("NO_INTERRUPT is ignored — here it is obeyed [split.device.used-buffer-notification-suppression.2]", () => {
    const { guest, funcs, vm } = setUp();
    guest.tx.suppressInterrupts(true);
    for (let i = 0; i < 5; i++) guest.send(frame(i));
    expect(funcs.frames.length).toBe(5);
    expect(guest.tx.takeUsed().length).toBe(5);
    expect([vm.machine.lineLog.risen(11), guest.registers.isr(), funcs.irqs]).toEqual([0, 0, []]);
    guest.tx.suppressInterrupts(false);
    guest.send(frame(6));
    expect([vm.machine.lineLog.risen(11), guest.registers.isr(), funcs.irqs]).toEqual([1, 1, [11]]);
  });

  it("a failed transmission leaks its head — here every head comes back", () => {
    const { card, guest, funcs } = setUp();
    funcs.result = "failed";
    for (let i = 0; i < 300; i++) guest.send(frame(i));
    expect(funcs.frames.length).toBe(300);
    expect(guest.tx.takeUsed().length).toBe(300);
    expect((card.backend as RawBackend).counters.txFailed).toBe(300);
    funcs.result = "complete";
    expectWorks(card, guest, funcs);
  });

  it("a frame without a buffer is dropped silently — here it waits, and what can't wait is refused to the backend", () => {
    const { card, guest } = setUp();
    for (let i = 0; i < 256; i++) expect(arrive(card, frame(i))).toBe(true);
    expect(arrive(card, frame(256))).toBe(false); // no buffer: the backend keeps it
    for (let i = 0; i < 100; i++) guest.post();
    for (let i = 0; i < 28; i++) guest.post();
    expect(guest.received()).toEqual(Array.from({ length: 128 }, (_, i) => frame(i)));
    for (let i = 0; i < 128; i++) guest.post();
    expect(guest.received()).toEqual(Array.from({ length: 128 }, (_, i) => frame(128 + i)));
    expect(arrive(card, frame(257))).toBe(true);
  });

  it("a register's width, or offset, fails an assertion — here every access has an answer", () => {
    const { vm, card, guest, funcs } = setUp();
    for (let port = card.iobase - 4; port < card.iobase + 0x404; port++) {
      for (const size of [0, 1, 2, 3, 4, 8, -1]) {
        const { outcome, value } = vm.ioports.emulate(port, true, size);
        expect(outcome === "error").toBe(!WIDTHS.includes(size as 1));
        expect(value).toBeGreaterThanOrEqual(0);
        for (const written of [0, 0xff, 0xffff_ffff]) vm.ioports.emulate(port, false, size, written);
      }
    }
    expectWorks(card, guest.up(), funcs);
  });

  it("a queue number fails an assertion — here a queue that is not there has size 0 and hears no kick", () => {
    const { card, guest, funcs } = setUp();
    for (const queue of [2, 3, 128, 0xffff]) {
      expect(guest.registers.queueSize(queue)).toBe(0);
      guest.registers.place(queue, guest.tx);
      guest.registers.kick(queue);
    }
    expectWorks(card, guest, funcs);
  });

  it("features fail an assertion — here those that were not offered are not agreed on", () => {
    const { card, guest, funcs } = setUp();
    guest.registers.setStatus(0);
    guest.rx.clear();
    guest.tx.clear();
    guest.registers.setStatus(3);
    guest.registers.accept(0xffff_ffffn & ~(1n << 15n)); // without mergeable buffers: the header has 10 bytes
    guest.registers.place(0, guest.rx);
    guest.registers.place(1, guest.tx);
    guest.registers.setStatus(7);
    expect(card.emul.core.negotiated & ~BigInt(guest.registers.offered())).toBe(0n);
    expectWorks(card, guest, funcs);
  });

  it("the queue's page is not checked against memory — here one outside of it is refused", () => {
    const { vm, card, guest, funcs } = setUp();
    for (const page of [0xffff_ffff, 0x10_0000, 16 * 256 - 1, 16 * 256]) {
      guest.registers.setStatus(0);
      guest.registers.setStatus(3);
      guest.registers.ports.write(14, 2, 1);
      guest.registers.ports.write(8, 4, page);
      const before = vm.machine.memory.regions[0].u8.slice();
      guest.registers.setStatus(7);
      guest.registers.kick(1);
      expect(guest.registers.status() & 0x44).toBe(0x40);
      expect(Buffer.compare(vm.machine.memory.regions[0].u8, before)).toBe(0);
    }
    expectWorks(card, guest.up(), funcs);
  });

  it("configuration writes overwrite the vendor id — here identity is read-only", () => {
    const { card, guest, funcs } = setUp();
    for (const device of [0, card.slot.device]) {
      const config = new Config(guest.vm.machine, device);
      const registers = [0x00, 0x08, 0x2c];
      const before = registers.map((register) => config.read(register, 4));
      for (const register of registers) {
        for (const width of WIDTHS) config.write(register, width, 0xdead_beef);
      }
      expect(registers.map((register) => config.read(register, 4))).toEqual(before);
    }
    expectWorks(card, guest, funcs);
  });

  it("there is one backend for a process — here two cards, in one VM or in two, share nothing", () => {
    const first = setUp();
    const funcs = new RecordingFuncs();
    const sibling = first.vm.make({ backend: funcs, interruptLine: 10, ioportRange: FREE_1K });
    const guest = new PortGuest(first.vm, sibling).up();
    const other = setUp();
    first.guest.send(frame(1));
    guest.send(frame(2));
    other.guest.send(frame(3));
    expect([first.funcs.frames, funcs.frames, other.funcs.frames]).toEqual([[frame(1)], [frame(2)], [frame(3)]]);
    expect([first.funcs.irqs, funcs.irqs, other.funcs.irqs]).toEqual([[11], [10], [11]]);
    for (const receiver of [first.guest, guest, other.guest]) receiver.post();
    arrive(sibling, frame(4));
    expect([first.guest.received(), guest.received(), other.guest.received()]).toEqual([[], [frame(4)], []]);
    first.guest.registers.setStatus(0);
    expectWorks(sibling, guest, funcs);
    expectWorks(other.card, other.guest, other.funcs);
  });

  it("a backend's function aborts the VMM — here what it throws is a failed frame", () => {
    const vm = new TestVm();
    const causes: unknown[] = [];
    const lowLevelInit = () => ({ mac: Uint8Array.from(MAC), mtu: 1500 });
    const backend = { ...virtioNetDefaultBackend(), lowLevelInit };
    const card = vm.make({ backend, onBackendError: (cause) => causes.push(cause) });
    const guest = new PortGuest(vm, card).up();
    guest.send(frame(1), frame(2));
    expect(guest.tx.takeUsed().length).toBe(2);
    expect(causes.map((cause) => (cause as Error).message)).toEqual([
      "the backend does not implement tx",
      "the backend does not implement tx",
      "the backend does not implement handleIRQ",
    ]);
  });
});

/** The functions of a recorder as plain functions, so that they can be spread. */
function bound(funcs: RecordingFuncs): ReturnType<typeof virtioNetDefaultBackend> {
  return {
    tx: (driver, parts, cookie) => funcs.tx(driver, parts, cookie),
    handleIRQ: (driver, line) => funcs.handleIRQ(driver, line),
    poll: () => funcs.poll(),
    printState: () => funcs.printState(),
    lowLevelInit: () => funcs.lowLevelInit(),
    getMac: null,
  };
}
