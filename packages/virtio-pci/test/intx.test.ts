import { describe, expect, it } from "vitest";
import { COMMON, ISR } from "./support/guest.ts";
import { type Setup, setup } from "./support/setup.ts";

const interruptStatus = ({ fn }: Setup) => (fn.configRead(6, 2) >>> 3) & 1;

function live(options: Parameters<typeof setup>[0] = {}): Setup {
  const s = setup(options);
  s.guest.goLive();
  return s;
}

const useQueue = ({ device }: Setup, queue = 0) => device.context?.queues[queue]?.notifier.notify();
const changeConfig = ({ device }: Setup) => device.context?.configChanged();

describe("interrupts by the pin (4.1.4.5)", () => {
  it("a used buffer sets bit 0 of ISR status and raises the pin [pci.device.isr-status-capability.3]", () => {
    for (const interrupt of ["msix", "intx"] as const) {
      const s = live({ interrupt });
      useQueue(s, 1);
      expect(s.slot.level).toBe(true);
      expect(s.guest.read(ISR, 0, 1)).toBe(1);
    }
  });

  it("a configuration change sets bit 1 of ISR status and raises the pin [pci.device.isr-status-capability.2]", () => {
    const s = live();
    changeConfig(s);
    expect(s.slot.level).toBe(true);
    expect(s.guest.read(ISR, 0, 1)).toBe(2);
  });

  it("ISR status is set before the pin is raised [pci.device.isr-status-capability.2] [pci.device.isr-status-capability.3]", () => {
    const s = live();
    const seen: number[] = [];
    const raise = s.slot.intx.raise;
    s.slot.intx.raise = () => {
      raise();
      seen.push(s.guest.read(ISR, 0, 1));
    };
    useQueue(s);
    changeConfig(s);
    expect(seen).toEqual([1, 2]);
    expect(s.slot.level).toBe(false);
  });

  it("reading ISR status clears it and lowers the pin [pci.device.isr-status-capability.5]", () => {
    const s = live();
    useQueue(s);
    changeConfig(s);
    expect(s.guest.read(ISR, 0, 1)).toBe(3);
    expect(s.slot.level).toBe(false);
    expect(s.guest.read(ISR, 0, 1)).toBe(0);
  });

  it("only a read that takes in the status byte clears it, and a write never does", () => {
    const s = live();
    useQueue(s);
    s.guest.read(ISR, 1, 1);
    s.guest.read(ISR, 2, 2);
    s.guest.write(ISR, 0, 1, 0xff);
    expect(s.slot.level).toBe(true);
    expect(s.guest.read(ISR, 0, 4)).toBe(1);
    expect(s.slot.level).toBe(false);
  });

  it("the Interrupt Status bit of the PCI status register is the OR of all bits of ISR status [pci.device.isr-status-capability.4]", () => {
    const s = live();
    expect(interruptStatus(s)).toBe(0);
    for (const [causes, isr] of [
      [[useQueue], 1],
      [[changeConfig], 2],
      [[useQueue, changeConfig], 3],
      [[changeConfig, useQueue], 3],
    ] as const) {
      for (const cause of causes) {
        cause(s);
        expect(interruptStatus(s)).toBe(1);
      }
      expect([s.guest.read(ISR, 0, 1), interruptStatus(s)]).toEqual([isr, 0]);
    }
  });

  it("that bit is 0 while MSI-X is enabled, and what ISR status has when it no longer is [pci.device.isr-status-capability.4]", () => {
    const s = live({ interrupt: "msix" });
    s.guest.setMsix(true);
    changeConfig(s); // sets ISR status under MSI-X too (4.1.4.5.1)
    expect([interruptStatus(s), s.slot.level]).toEqual([0, false]);
    s.guest.setMsix(false);
    expect([interruptStatus(s), s.slot.level]).toEqual([1, true]);
    s.guest.setMsix(true);
    expect([interruptStatus(s), s.slot.level]).toEqual([0, false]);
    s.guest.setMsix(false);
    useQueue(s);
    s.guest.setMsix(true);
    s.guest.setMsix(false);
    expect([interruptStatus(s), s.slot.level]).toEqual([1, true]); // both bits, looked at anew
    expect(s.guest.read(ISR, 0, 1)).toBe(3);
    expect([interruptStatus(s), s.slot.level]).toEqual([0, false]);
  });

  it("INTx disable holds the pin down, but not the Interrupt Status bit", () => {
    const s = live();
    s.fn.configWrite(4, 2, 0x0407);
    useQueue(s);
    expect([s.slot.level, interruptStatus(s)]).toEqual([false, 1]);
    s.fn.configWrite(4, 2, 0x0007);
    expect(s.slot.level).toBe(true);
    s.fn.configWrite(4, 2, 0x0407);
    expect(s.slot.level).toBe(false);
  });

  it("is one level, however many buffers were used", () => {
    const s = live();
    for (let i = 0; i < 1000; i++) useQueue(s, i & 1);
    expect(s.slot.edges).toBe(1);
    expect(s.guest.read(ISR, 0, 1)).toBe(1);
  });

  it("a reset clears ISR status and lowers the pin", () => {
    const s = live();
    useQueue(s);
    s.guest.status = 0;
    expect([s.slot.level, interruptStatus(s), s.guest.read(ISR, 0, 1)]).toEqual([false, 0, 0]);
  });

  it("a device without MSI-X maps no vector", () => {
    const s = live({ interrupt: "intx" });
    expect(s.guest.msix).toBe(0);
    expect([...s.guest.bars.keys()]).toEqual([2]);
    s.guest.select(0);
    s.guest.write(COMMON, 26, 2, 0);
    s.guest.write(COMMON, 16, 2, 0);
    expect([s.guest.read(COMMON, 26, 2), s.guest.read(COMMON, 16, 2)]).toEqual([0xffff, 0xffff]);
  });

  it("a machine that takes no messages sees no MSI-X, and gets the pin", () => {
    const s = setup({}, undefined, undefined, false);
    expect(s.guest.msix).toBe(0);
    s.guest.goLive();
    s.fn.configWrite(0x90, 4, 0xffff_ffff);
    s.guest.write(COMMON, 16, 2, 0);
    expect(s.guest.read(COMMON, 16, 2)).toBe(0xffff);
    useQueue(s);
    expect(s.slot.level).toBe(true);
  });
});
