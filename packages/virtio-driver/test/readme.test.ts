import { readFileSync } from "node:fs";
import { feature } from "@virtio-ts/virtio-bindings";
import { BufferElements } from "@virtio-ts/virtio-queue";
import { GuestMemory } from "@virtio-ts/vm-memory";
import { expect, it } from "vitest";
import { DriverDevice, ProcessHost, RequestQueue } from "../src/index.ts";
import { MockTransport } from "./support/mock-transport.ts";
import { QueueDevice } from "./support/queue-device.ts";

/** An entropy source of little entropy, which answers at once. */
class Fountain extends MockTransport {
  override notify(index: number): void {
    new QueueDevice(this, index).use(1, 64);
    this.interrupts?.used(index);
  }
}

const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");
const source = readFileSync(new URL(import.meta.url), "utf8");

function expectInReadme(name: string): void {
  const example = source.split(`// #region ${name}\n`)[1].split("  // #endregion")[0].replace(/^ {2}/gm, "").trim();
  expect(readme).toContain(example);
}

it("the README's example asks a device for entropy", async () => {
  const transport = new Fountain({ offered: feature(0, 32) });
  const { host } = transport;
  const bytes = new Uint8Array(64);

  // #region entropy
  const device = await DriverDevice.open(transport, host); // reset, ACKNOWLEDGE, DRIVER
  await device.negotiate({ wanted: feature(0) }); // features, FEATURES_OK
  await device.bindInterrupts(1);
  const requests = await RequestQueue.create(device, 0);
  await device.start(); // DRIVER_OK

  const buffer = host.dma.allocate(64, 16);
  const length = await requests.submit(new BufferElements().writable(buffer, 64)); // an entropy source fills it
  host.memory.read(buffer, bytes);

  await device.close(); // reset: from now on the memory is ours again
  host.dma.free(buffer);
  // #endregion

  expect(length).toBe(64);
  expect(host.dma.allocated).toBe(0);
  expectInReadme("entropy");
});

it("the README's host takes lines and messages", () => {
  // #region host
  const host = new ProcessHost(GuestMemory.of(new Uint8Array(2 ** 20)));
  // whoever has the devices sets lines and sends messages
  host.lines.setLevel(11, false);
  host.messages.send(0xfee0_0000, 0);
  // #endregion

  expect(host.messages.strays).toBe(1);
  expectInReadme("host");
});
