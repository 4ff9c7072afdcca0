import { readFileSync } from "node:fs";
import { ManualScheduler, RecordingDevice } from "@virtio-ts/virtio-device/testing";
import type { PciBar } from "@virtio-ts/vm-device";
import { GuestMemory } from "@virtio-ts/vm-memory";
import { expect, it } from "vitest";
import { VirtioPciDevice } from "../src/index.ts";

it("the README's example plugs a device in", () => {
  const device = new RecordingDevice({ deviceType: 1 });
  const memory = GuestMemory.of(new Uint8Array(0x1_0000));
  const scheduler = new ManualScheduler();
  const bus = new Map<number, PciBar>();
  const pic = { raise() {}, lower() {} };
  const apic = { send() {} };

  // #region example
  const nic = new VirtioPciDevice(device, { memory, scheduler, mode: "transitional", bar: "io" });
  nic.plug({
    barMoved: (bar, address) => {
      for (const [at, other] of bus) if (other === bar) bus.delete(at);
      if (address !== null) bus.set(address, bar);
    },
    intx: pic,
    msi: apic,
  });

  nic.configRead(0x00, 4); // 0x10001af4: a transitional network device
  nic.configWrite(0x10, 4, 0xc000); // firmware places BAR0 ...
  nic.configWrite(0x04, 2, 0x0001); // ... and lets it decode
  bus.get(0xc000)?.block.read(12, 2); // a legacy driver asks for the size of queue 0
  // #endregion

  expect(nic.configRead(0x00, 4)).toBe(0x1000_1af4);
  expect(bus.get(0xc000)?.block.read(12, 2)).toBe(16);
  const source = readFileSync(new URL(import.meta.url), "utf8");
  const example = source.split("// #region example\n")[1].split("  // #endregion")[0].replace(/^ {2}/gm, "").trim();
  expect(readFileSync(new URL("../README.md", import.meta.url), "utf8")).toContain(example);
});
