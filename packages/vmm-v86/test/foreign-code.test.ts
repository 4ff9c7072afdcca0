/** What a backend throws reaches who asked to hear of it, once, whichever way the NIC came to call it. */
import type { FrameBurst, NetBackend, NetPort } from "@virtio-ts/net-link";
import { describe, expect, test } from "vitest";
import { addNic, attachToV86, MMIO_NIC_ADDRESS, type MmioNic } from "../src/index.ts";
import { FakeV86 } from "./fake-v86.ts";

const RX_RING = 0x10_0000;
const TX_RING = 0x11_0000;
const BUFFER = 0x12_0000;
const ENTRIES = 1024;

/** Throws whatever comes. */
class Thrower implements NetBackend {
  readonly accepts = 15;
  readonly cause = new Error("the socket is still connecting");
  peer: NetPort | null = null;
  taken = 0;

  take(burst: FrameBurst): number {
    this.taken += burst.count;
    throw this.cause;
  }
  resume(): void {}
  attach(peer: NetPort): void {
    this.peer = peer;
  }
  detach(): void {
    this.peer = null;
  }
}

/** A legacy driver over MMIO, written from 4.2.4 and 2.7.2. */
function drive(v86: FakeV86) {
  const set = (register: number, value: number): void => v86.store(MMIO_NIC_ADDRESS + register, 4, value);
  set(0x70, 0);
  v86.ram.fill(0, RX_RING, BUFFER);
  for (const status of [1, 3]) set(0x70, status);
  set(0x28, 4096);
  [RX_RING, TX_RING].forEach((ring, queue) => {
    set(0x30, queue);
    set(0x38, ENTRIES);
    set(0x3c, 4096);
    set(0x40, ring / 4096);
  });
  set(0x70, 7);
  let sent = 0;
  return {
    status: () => v86.load(MMIO_NIC_ADDRESS + 0x70, 4),
    /** One frame of zeros behind a header of 10 bytes. */
    send: () => {
      const ram = new DataView(v86.memory.buffer, v86.ram.byteOffset);
      ram.setUint32(TX_RING, BUFFER, true);
      ram.setUint32(TX_RING + 8, 70, true);
      sent++;
      ram.setUint16(TX_RING + 16 * ENTRIES + 2, sent, true);
      set(0x50, 1);
    },
  };
}

function start(transmit: "at-once" | "gathered") {
  const v86 = new FakeV86();
  const errors: unknown[] = [];
  attachToV86(v86, { onError: (cause) => errors.push(cause) });
  const backend = new Thrower();
  const nic: MmioNic = addNic(v86, { transport: "mmio-legacy", transmit });
  nic.device.attach(backend);
  return { nic, errors, backend, driver: drive(v86), restart: () => drive(v86) };
}

describe.each(["at-once", "gathered"] as const)("a backend that throws, frames sent %s", (transmit) => {
  test("is reported once, with its cause, and the guest is asked for a reset, after which frames flow", () => {
    const { errors, backend, driver, restart } = start(transmit);
    driver.send();
    driver.send();
    expect([driver.status(), errors.length, backend.taken]).toEqual([0x47, 1, 1]);
    expect(errors[0]).toMatchObject({ name: "DeviceFault", code: "device-error", cause: backend.cause });
    backend.take = (burst) => (backend.taken += burst.count);
    restart().send();
    expect([errors.length, backend.taken]).toEqual([1, 2]);
  });

  test("is not asked again before the guest has reset the NIC", () => {
    const { nic, errors, backend, driver } = start(transmit);
    driver.send();
    expect(() => nic.device.resume()).not.toThrow();
    expect([errors.length, backend.taken]).toEqual([1, 1]);
  });
});

test("a backend that throws behind a link is reported each time, and the guest has done nothing wrong", () => {
  const v86 = new FakeV86();
  const errors: unknown[] = [];
  attachToV86(v86, { onError: (cause) => errors.push(cause) });
  const backend = new Thrower();
  const nic = addNic(v86, { transport: "mmio-legacy", transmit: "at-once", backend });
  const driver = drive(v86);
  driver.send();
  driver.send();
  expect([driver.status(), errors]).toEqual([7, [backend.cause, backend.cause]]);
  expect(nic.link!.aToB).toMatchObject({ frames: 0, droppedFailed: 2 });
});

test("a device that can't be activated is reported, with its cause", () => {
  const v86 = new FakeV86();
  const errors: unknown[] = [];
  attachToV86(v86, { onError: (cause) => errors.push(cause) });
  const nic = addNic(v86, { transport: "mmio-legacy" });
  const cause = new Error("no memory for it");
  nic.device.activate = () => {
    throw cause;
  };
  drive(v86);
  expect(errors).toEqual([expect.objectContaining({ name: "DeviceFault", code: "activation-failed", cause })]);
});

test("a guest that breaks a ring is its own matter: nothing is reported as an error of ours", () => {
  const v86 = new FakeV86();
  const errors: unknown[] = [];
  attachToV86(v86, { onError: (cause) => errors.push(cause) });
  addNic(v86, { transport: "mmio-legacy" });
  const driver = drive(v86);
  new DataView(v86.memory.buffer, v86.ram.byteOffset).setUint16(TX_RING + 16 * ENTRIES + 2, 5000, true);
  v86.store(MMIO_NIC_ADDRESS + 0x50, 4, 1);
  expect([driver.status(), errors]).toEqual([0x47, []]);
});

test("who gives onFault hears of the guest's faults too, and the machine of none", () => {
  const v86 = new FakeV86();
  const [errors, faults]: [unknown[], string[]] = [[], []];
  attachToV86(v86, { onError: (cause) => errors.push(cause) });
  addNic(v86, { transport: "mmio-legacy", onFault: ({ code }) => faults.push(code) });
  drive(v86);
  new DataView(v86.memory.buffer, v86.ram.byteOffset).setUint16(TX_RING + 16 * ENTRIES + 2, 5000, true);
  v86.store(MMIO_NIC_ADDRESS + 0x50, 4, 1);
  expect([faults, errors]).toEqual([["queue-malformed"], []]);
});
