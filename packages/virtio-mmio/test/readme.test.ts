import { readFileSync } from "node:fs";
import { ManualScheduler, RecordingDevice } from "@virtio-ts/virtio-device/testing";
import type { RegisterBlock } from "@virtio-ts/vm-device";
import { GuestMemory } from "@virtio-ts/vm-memory";
import { expect, it } from "vitest";
import { VirtioMmioDevice } from "../src/index.ts";

it("the README's example puts a device into memory-mapped I/O", () => {
  const device = new RecordingDevice({ deviceType: 1 });
  const memory = GuestMemory.of(new Uint8Array(0x1_0000));
  const scheduler = new ManualScheduler();
  const line = { raise() {}, lower() {} };
  const blocks = new Map<number, RegisterBlock>();
  const bus = { map: (address: number, block: RegisterBlock) => void blocks.set(address, block) };

  // #region example
  const nic = new VirtioMmioDevice(device, { memory, scheduler, line });
  bus.map(0xfed8_0000, nic);

  nic.read(0x000, 4); // 0x74726976, "virt": a virtio device is here ...
  nic.read(0x004, 4); // 2: ... of this standard ...
  nic.read(0x008, 4); // 1: ... and it is a network device
  nic.write(0x030, 4, 0); // a driver selects queue 0 ...
  nic.read(0x034, 4); // 16: ... and asks for its size
  // #endregion

  expect(blocks.get(0xfed8_0000)).toBe(nic);
  expect([0x000, 0x004, 0x008, 0x034].map((offset) => nic.read(offset, 4))).toEqual([0x7472_6976, 2, 1, 16]);
  const source = readFileSync(new URL(import.meta.url), "utf8");
  const example = source.split("// #region example\n")[1].split("  // #endregion")[0].replace(/^ {2}/gm, "").trim();
  expect(readFileSync(new URL("../README.md", import.meta.url), "utf8")).toContain(example);
});
