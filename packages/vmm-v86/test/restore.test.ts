import { Switch } from "@virtio-ts/net-link";
import { describe, expect, test } from "vitest";
import { addNic, MMIO_NIC_ADDRESS, MMIO_NIC_LINE, type NicOptions } from "../src/index.ts";
import { FakeV86 } from "./fake-v86.ts";

const COMMAND = 0x04;
const BAR0 = 0x10;
const SLOT = 3;
const PORTS = 0xc000;
/** Of the legacy interface, and of virtio-mmio. */
const LEGACY_STATUS = PORTS + 18;
const LEGACY_ISR = PORTS + 19;
const MMIO_STATUS = MMIO_NIC_ADDRESS + 0x70;
const MMIO_INTERRUPT_STATUS = MMIO_NIC_ADDRESS + 0x60;

function machine(options: NicOptions) {
  const v86 = new FakeV86();
  v86.routeInterrupts();
  return { v86, nic: addNic(v86, { backend: new Switch().addPort(), ...options }) };
}

describe("a NIC that was saved in one emulator and restored in another", () => {
  test("is where it was on the PCI bus, in its driver's hands, with the interrupt that was pending", () => {
    const options = { transport: "legacy", interrupt: "intx" } as const;
    const before = machine(options);
    before.v86.configWrite(SLOT, BAR0, 4, PORTS);
    before.v86.configWrite(SLOT, COMMAND, 2, 5);
    for (const status of [1, 3, 7]) before.v86.out(LEGACY_STATUS, 1, status);
    before.nic.device.linkUp = false;
    const [line] = before.v86.lines;

    const after = machine(options);
    after.nic.restore(JSON.parse(JSON.stringify(before.nic.save())));
    expect([line, ...after.v86.lines]).toEqual([line, line]);
    expect([after.v86.in(LEGACY_STATUS, 1), after.v86.in(LEGACY_ISR, 1), ...after.v86.lines]).toEqual([7, 2]);
    expect(after.nic.device.mac).toEqual(before.nic.device.mac);
  });

  test("goes on over MMIO, with the interrupt that was pending", () => {
    const options = { transport: "mmio-legacy" } as const;
    const before = machine(options);
    for (const status of [1, 3, 7]) before.v86.store(MMIO_STATUS, 4, status);
    before.nic.device.linkUp = false;

    const after = machine(options);
    after.nic.restore(JSON.parse(JSON.stringify(before.nic.save())));
    expect([...after.v86.lines]).toEqual([MMIO_NIC_LINE]);
    expect([after.v86.load(MMIO_STATUS, 4), after.v86.load(MMIO_INTERRUPT_STATUS, 4)]).toEqual([7, 2]);
  });

  test("takes no state of a NIC on another transport, and stays as it was", () => {
    const { nic } = machine({ transport: "mmio" });
    expect(() => machine({ transport: "mmio-legacy" }).nic.restore(nic.save())).toThrow(
      expect.objectContaining({ code: "mismatch" }),
    );
    const other = machine({});
    expect(() => other.nic.restore(nic.save())).toThrow(expect.objectContaining({ name: "RestoreError" }));
    expect(other.nic.core.status).toBe(0);
  });
});
