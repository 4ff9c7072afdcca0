import { readFileSync } from "node:fs";
import { VIRTIO_ID_ENTROPY } from "@virtio-ts/virtio-bindings";
import { DriverDevice, findDevices } from "@virtio-ts/virtio-driver";
import { expect, it } from "vitest";
import { MmioFinder } from "../../src/index.ts";
import { DriverSide } from "../support/driver-side.ts";

it("the README's example finds and opens a device", async () => {
  const mmio = new DriverSide();
  const { host } = mmio;
  const locations: string[] = [];

  // #region example
  const places = [
    { address: 0x0a00_0000, line: 6 },
    { address: 0x0a00_0200, line: 7 },
  ];
  const finder = new MmioFinder(host, mmio, places);
  for (const found of findDevices([finder], VIRTIO_ID_ENTROPY)) {
    const device = await DriverDevice.open(found.connect(), host);
    locations.push(found.location); // 0xa000200
    await device.close();
  }
  // #endregion

  expect(locations).toEqual(["0xa000200"]);
  expect(mmio.device.events).toContain("reset");
  const source = readFileSync(new URL(import.meta.url), "utf8");
  const example = source.split("// #region example\n")[1].split("  // #endregion")[0].replace(/^ {2}/gm, "").trim();
  expect(readFileSync(new URL("../../README.md", import.meta.url), "utf8")).toContain(example);
});
