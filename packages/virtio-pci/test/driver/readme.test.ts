import { readFileSync } from "node:fs";
import { VIRTIO_ID_ENTROPY } from "@virtio-ts/virtio-bindings";
import { DriverDevice, findDevices } from "@virtio-ts/virtio-driver";
import { expect, it } from "vitest";
import { PciFinder } from "../../src/index.ts";
import { onBus } from "../support/driven.ts";

it("the README's example finds and opens a device", async () => {
  const { bus, device: recorded } = onBus();
  const { host, config, ports, mmio } = bus;
  const locations: string[] = [];

  // #region example
  const finder = new PciFinder(host, { config, ports, mmio });
  for (const found of findDevices([finder], VIRTIO_ID_ENTROPY)) {
    const device = await DriverDevice.open(found.connect(), host);
    locations.push(found.location); // 00:03.0
    await device.close();
  }
  // #endregion

  expect(locations).toEqual(["00:03.0"]);
  expect(recorded.events).toContain("reset");
  const source = readFileSync(new URL(import.meta.url), "utf8");
  const example = source.split("// #region example\n")[1].split("  // #endregion")[0].replace(/^ {2}/gm, "").trim();
  expect(readFileSync(new URL("../../README.md", import.meta.url), "utf8")).toContain(example);
});
