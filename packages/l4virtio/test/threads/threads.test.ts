/**
 * A NIC in one thread, its driver in another. `L4_FRAMES` says how many frames.
 * @module
 */

import { MessageChannel, type MessagePort, Worker } from "node:worker_threads";
import { afterEach, describe, expect, it } from "vitest";

const FRAMES = Number(process.env.L4_FRAMES ?? 1_000_000);

const workers: Worker[] = [];

const DEVICE = new URL("./device.mjs", import.meta.url);
const DRIVER = new URL("./driver.mjs", import.meta.url);

function start(file: URL, port: MessagePort, data: object): Worker {
  const worker = new Worker(file, {
    workerData: { port, ...data },
    transferList: [port],
    execArgv: [],
  });
  workers.push(worker);
  return worker;
}

/** The next message of a worker that is `what`; any other that tells of an error is one. */
function message(worker: Worker, what: (value: Record<string, unknown>) => boolean): Promise<Record<string, unknown>> {
  return new Promise((resolve, reject) => {
    const listen = (value: Record<string, unknown>): void => {
      if (what(value)) resolve(value);
      else if (value.error !== undefined) reject(new Error(String(value.error)));
      else return;
      worker.off("message", listen);
    };
    worker.on("message", listen);
    worker.once("error", reject);
  });
}

const running = (value: unknown): boolean => value === "running";

function pair(frames: number, options: object = {}, connectOptions: object = {}): { device: Worker; driver: Worker } {
  const { port1, port2 } = new MessageChannel();
  const device = start(DEVICE, port1, { options });
  const driver = start(DRIVER, port2, { frames, connectOptions });
  return { device, driver };
}

afterEach(async () => {
  await Promise.all(workers.splice(0).map((worker) => worker.terminate()));
});

describe("a NIC and its driver in two threads", () => {
  it("pass a million frames both ways, none lost, each what it was", async () => {
    const { device, driver } = pair(FRAMES);
    const end = await message(driver, (value) => value.received !== undefined);
    expect(end).toMatchObject({
      received: FRAMES,
      counters: {
        rx: { packets: FRAMES, badLength: 0, badBuffers: 0, badHeader: 0 },
        tx: { packets: FRAMES, refused: 0 },
      },
    });
    device.postMessage("report");
    expect(await message(device, (value) => value.frames !== undefined)).toMatchObject({
      frames: FRAMES,
      counters: { activations: 1, faults: 0 },
      status: 0,
    });
  }, 60_000);

  it.each([
    ["with one IRQ object each way", { events: 1 }, {}],
    ["by IPC alone", { cmdConfigBit: null }, {}],
    ["with packed rings", { ringFeatures: (1n << 28n) | (1n << 29n) | (1n << 32n) | (1n << 34n) }, {}],
    ["with CMD_CONFIG as bit 224", { cmdConfigBit: 224 }, { cmdConfigBit: 224 }],
  ])("pass frames both ways %s", async (_, options, connectOptions) => {
    const { driver } = pair(20_000, options, connectOptions);
    expect(await message(driver, (value) => value.received !== undefined)).toMatchObject({ received: 20_000 });
  });

  it("part when the device's thread is killed in mid-traffic: the driver is told that the device is gone", async () => {
    const { device, driver } = pair(Number.MAX_SAFE_INTEGER);
    await message(driver, running);
    const end = message(driver, (value) => value.error !== undefined);
    await device.terminate();
    expect(await end).toEqual({
      name: "DriverError",
      code: "device-gone",
      error: "device status reads as all ones: it is gone",
    });
  });

  it("part when the device's thread is killed while nothing is going on", async () => {
    const { device, driver } = pair(-1);
    await message(driver, running);
    const end = message(driver, (value) => value.error !== undefined);
    await device.terminate();
    expect(await end).toMatchObject({ name: "DriverError", code: "device-gone" });
  });

  it("part when the device's thread ends before it has answered anything", async () => {
    const { port1, port2 } = new MessageChannel();
    const driver = start(DRIVER, port2, { frames: 1 });
    port1.once("message", () => port1.close());
    expect(await message(driver, (value) => value.error !== undefined)).toEqual({
      name: "DriverError",
      code: "device-gone",
      error: "the device is gone: its port was closed",
    });
  });

  it("part when the driver's thread is killed: the device is reset, and serves nobody's memory", async () => {
    const { device, driver } = pair(Number.MAX_SAFE_INTEGER);
    await message(driver, running);
    await driver.terminate();
    for (;;) {
      device.postMessage("report");
      const { status } = await message(device, (value) => value.status !== undefined);
      if (status === 0) break;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  });
});
