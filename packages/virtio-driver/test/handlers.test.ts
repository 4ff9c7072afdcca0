/** Handlers of a driver's that throw in the host's interrupt delivery. */
import { expect, it } from "vitest";
import { DriverDevice, type DriverError } from "../src/index.ts";
import { MockTransport } from "./support/mock-transport.ts";

async function start() {
  const transport = new MockTransport({ maxSizes: [8, 8] });
  const device = await DriverDevice.open(transport, transport.host);
  await device.negotiate();
  await device.bindInterrupts(2);
  const queues = [await device.createQueue(0), await device.createQueue(1)];
  await device.start();
  const failures: DriverError[] = [];
  device.onFailure = (cause) => void failures.push(cause);
  return { transport, device, queues, failures };
}

const cause = new Error("a handler of the user's");
const throwing = (): never => {
  throw cause;
};

it("one of used buffers: the device is given up for it, and who brought the interrupt is not troubled", async () => {
  const { transport, device, queues, failures } = await start();
  queues[1].onUsed = throwing;
  expect(() => transport.interrupts?.used(1)).not.toThrow();
  transport.interrupts?.used(1);
  expect(failures).toEqual([device.failure]);
  expect([device.failure?.code, device.failure?.cause]).toEqual(["invalid", cause]);
  await device.close();
  expect(transport.host.dma.allocated).toBe(0);
});

it("one of configuration changes: likewise", async () => {
  const { transport, device, failures } = await start();
  device.onConfigChange = throwing;
  expect(() => transport.interrupts?.configChanged()).not.toThrow();
  expect([failures.length, device.failure?.cause]).toEqual([1, cause]);
});

it("those that are told of the end: all others are told all the same", async () => {
  const { transport, device, queues } = await start();
  const ended: string[] = [];
  queues[0].onEnd = throwing;
  queues[1].onEnd = (why) => void ended.push(why.code);
  queues[1].onUsed = throwing;
  device.onFailure = throwing;
  expect(() => transport.interrupts?.used(1)).not.toThrow();
  expect(ended).toEqual(["invalid"]);
  await device.close();
  expect(transport.host.dma.allocated).toBe(0);
});
